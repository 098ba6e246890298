package onnx

import "fmt"

// FormatError says that the input is not a well-formed model.
type FormatError struct {
	Offset int64 // position in the input of the field at fault
	Msg    string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("onnx: malformed at byte %d: %s", e.Offset, e.Msg)
}

// UnsupportedError says that the input uses a valid feature of the format that this
// package does not implement.
type UnsupportedError string

func (e UnsupportedError) Error() string { return "onnx: not supported: " + string(e) }

// LimitError says that the input is larger than the caller's [Limits] allow.
type LimitError struct {
	What  string // what is counted, in the plural
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("onnx: more than %d %s (limit)", e.Limit, e.What)
}

// Limits bounds what a reader accepts. A field of zero takes the default. Apart from
// these, the structs that [Decode] makes, other than views of the input, may take at most
// 16 MiB and 32 times the size of the input; more is a [LimitError] too.
type Limits struct {
	Bytes    int64 // size of the encoded model, and of all external data; default 2 GiB
	Nodes    int   // nodes, also those of sub-graphs and functions; default 1<<20
	Tensors  int   // tensors, also those in attributes; default 1<<20
	Elements int64 // elements of one tensor; default 1<<31
	Depth    int   // graphs inside one another; default 64
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 2 << 30
	}
	if l.Nodes == 0 {
		l.Nodes = 1 << 20
	}
	if l.Tensors == 0 {
		l.Tensors = 1 << 20
	}
	if l.Elements == 0 {
		l.Elements = 1 << 31
	}
	if l.Depth == 0 {
		l.Depth = 64
	}
	return l
}
