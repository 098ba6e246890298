package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Every model trains for two turns of at least one step, and says how many images it took.
func TestSubjectsTrain(t *testing.T) {
	for _, s := range subjects {
		t.Run(fmt.Sprintf("%s/%d", s.name, s.batch), func(t *testing.T) {
			in, feed := io.Pipe()
			answers, out := io.Pipe()
			done := make(chan error, 1)
			go func() {
				err := work(s, 1, in, out)
				out.CloseWithError(err)
				done <- err
			}()
			lines := bufio.NewScanner(answers)
			if !lines.Scan() || !strings.HasPrefix(lines.Text(), "aekit ") {
				t.Fatalf("the worker says %q, %v", lines.Text(), lines.Err())
			}
			for turn := range 2 {
				fmt.Fprintln(feed, 1e-6)
				var images int
				var seconds float64
				if !lines.Scan() {
					t.Fatalf("turn %d: %v", turn, lines.Err())
				}
				if _, err := fmt.Sscan(lines.Text(), &images, &seconds); err != nil || images < s.batch || images%s.batch != 0 || !(seconds > 0) {
					t.Fatalf("turn %d: %q, %v; want a multiple of %d images", turn, lines.Text(), err, s.batch)
				}
			}
			feed.Close()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRunErrors(t *testing.T) {
	for _, args := range [][]string{
		{"--models", "none"}, {"--rounds", "0"}, {"--seconds", "0"}, {"--worker"}, {"--worker", "--models", "seed-ae", "--threads", "1", "--batch", "3"},
	} {
		if err := run(args, strings.NewReader(""), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
