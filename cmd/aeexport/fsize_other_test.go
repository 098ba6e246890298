//go:build !unix

package main

import (
	"errors"
	"os"
)

func limitFileSize() error {
	if os.Getenv("AEEXPORT_TEST_FSIZE") != "" {
		return errors.New("not available here")
	}
	return nil
}
