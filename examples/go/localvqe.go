package main

/*
#cgo LDFLAGS: -llocalvqe
#include <localvqe_api.h>
#include <stdlib.h>
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

// Hop is the step of every model: 16 ms of mono samples at 16 kHz.
const Hop = 256

// Model holds the weights, which any number of streams may share.
type Model struct{ handle C.uintptr_t }

// Stream is one call. It belongs to one goroutine at a time.
type Stream struct{ handle C.uintptr_t }

// create calls a function that explains itself to the thread that called it.
func create(call func() C.uintptr_t) (C.uintptr_t, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if handle := call(); handle != 0 {
		return handle, nil
	}
	return 0, errors.New(C.GoString(C.localvqe_creation_error()))
}

// LoadModel reads a .gguf file. Close the model when no more streams are to be opened.
func LoadModel(path string) (*Model, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle, err := create(func() C.uintptr_t { return C.localvqe_model_load(name) })
	if err != nil {
		return nil, err
	}
	return &Model{handle}, nil
}

// Close leaves streams of the model as they are.
func (m *Model) Close() {
	C.localvqe_model_free(m.handle)
	m.handle = 0
}

// NewStream opens a call, with one worker and a hop at a time.
func (m *Model) NewStream() (*Stream, error) {
	handle, err := create(func() C.uintptr_t { return C.localvqe_stream_new(m.handle, 1, 1) })
	if err != nil {
		return nil, err
	}
	return &Stream{handle}, nil
}

// Close frees the stream.
func (s *Stream) Close() {
	C.localvqe_free(s.handle)
	s.handle = 0
}

// Process takes the next hop of both signals; out becomes the hop of mic before this one, without its echo.
func (s *Stream) Process(mic, ref, out *[Hop]int16) error {
	pointer := func(hop *[Hop]int16) *C.int16_t { return (*C.int16_t)(unsafe.Pointer(hop)) }
	if C.localvqe_process_frame_s16(s.handle, pointer(mic), pointer(ref), Hop, pointer(out)) != 0 {
		return errors.New(C.GoString(C.localvqe_last_error(s.handle)))
	}
	return nil
}
