package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// ReadWav reads the only sound that this example takes: mono, 16 bit, 16 kHz.
func ReadWav(path string) ([]int16, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	problem := func(what string) error {
		return fmt.Errorf("%s %s; make it so with: sox IN -r 16000 -c 1 -b 16 OUT.wav", path, what)
	}
	if len(data) < 12 || string(data[:4]) != "RIFF" || string(data[8:12]) != "WAVE" {
		return nil, problem("is no WAV file")
	}
	known := false
	for rest := data[12:]; len(rest) >= 8; {
		name, size, body := string(rest[:4]), uint64(binary.LittleEndian.Uint32(rest[4:])), rest[8:]
		if size > uint64(len(body)) {
			return nil, problem("ends early")
		}
		switch {
		case name == "fmt " && size >= 16:
			known = binary.LittleEndian.Uint16(body) == 1 && binary.LittleEndian.Uint16(body[2:]) == 1 &&
				binary.LittleEndian.Uint32(body[4:]) == 16000 && binary.LittleEndian.Uint16(body[14:]) == 16
		case name == "data" && size >= 2:
			if !known {
				return nil, problem("is not mono, 16 bit and 16 kHz")
			}
			samples := make([]int16, size/2)
			return samples, binary.Read(bytes.NewReader(body[:size]), binary.LittleEndian, samples)
		}
		next := size + size%2
		if next > uint64(len(body)) {
			break
		}
		rest = body[next:]
	}
	return nil, problem("has no samples")
}

// WriteWav leaves a whole file or none.
func WriteWav(path string, samples []int16) error {
	size := uint32(2 * len(samples))
	var out bytes.Buffer
	for _, part := range []any{
		[]byte("RIFF"), 36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(16000), uint32(32000),
		uint16(2), uint16(16), []byte("data"), size, samples,
	} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			return err
		}
	}
	part := path + ".part"
	defer os.Remove(part)
	if err := os.WriteFile(part, out.Bytes(), 0o666); err != nil {
		return err
	}
	return os.Rename(part, path)
}
