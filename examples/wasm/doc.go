//go:build !js

// Command wasm is a program for web browsers. Built for another system it only says so.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "this program runs in a web page: build it with GOOS=js GOARCH=wasm, see index.html")
	os.Exit(1)
}
