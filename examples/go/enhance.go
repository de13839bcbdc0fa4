// enhance MODEL.gguf MIC.wav REF.wav OUT.wav: the microphone without its echo, hop by hop as in a live call.
//
//	export CGO_CFLAGS="$(pkg-config --cflags localvqe)" CGO_LDFLAGS="$(pkg-config --libs localvqe)"
//	go build -o enhance .
package main

import (
	"fmt"
	"os"
)

func enhance(stream *Stream, mic, ref []int16) ([]int16, error) {
	out := make([]int16, 0, len(mic)+2*Hop)
	for start := 0; start < len(mic)+Hop; start += Hop {
		var micHop, refHop, clean [Hop]int16 // silence, where a signal has ended
		if start < len(mic) {
			copy(micHop[:], mic[start:])
		}
		if start < len(ref) {
			copy(refHop[:], ref[start:])
		}
		if err := stream.Process(&micHop, &refHop, &clean); err != nil {
			return nil, err
		}
		out = append(out, clean[:]...)
	}
	return out[Hop : Hop+len(mic)], nil // what comes out of a hop belongs to the one before
}

func run(model, mic, ref, out string) error {
	micSamples, err := ReadWav(mic)
	if err != nil {
		return err
	}
	refSamples, err := ReadWav(ref)
	if err != nil {
		return err
	}
	weights, err := LoadModel(model)
	if err != nil {
		return err
	}
	defer weights.Close()
	stream, err := weights.NewStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	clean, err := enhance(stream, micSamples, refSamples)
	if err != nil {
		return err
	}
	return WriteWav(out, clean)
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: enhance MODEL.gguf MIC.wav REF.wav OUT.wav")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
