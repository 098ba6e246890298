package main

import (
	"bytes"
	"image"
	"image/png"
	"net/http/httptest"
	"testing"

	"github.com/aekit/aekit/runtime"
	"github.com/aekit/aekit/runtime/autoencoder"
)

func TestHandler(t *testing.T) {
	s, err := runtime.Load(model, runtime.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ae, err := autoencoder.New(s, autoencoder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ae.Close()
	h := handler(ae)
	get := func(url string) []byte {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequest("GET", url, nil))
		if w.Code != 200 || w.Header().Get("Content-Type") != "image/png" {
			t.Fatalf("GET %s: status %d, %s", url, w.Code, w.Body)
		}
		return w.Body.Bytes()
	}
	seven := get("/?seed=7")
	img, err := png.Decode(bytes.NewReader(seven))
	if err != nil {
		t.Fatal(err)
	}
	if img.Bounds() != image.Rect(0, 0, 28, 28) {
		t.Errorf("digit of %v", img.Bounds())
	}
	if !bytes.Equal(get("/?seed=7"), seven) || bytes.Equal(get("/?seed=8"), seven) {
		t.Error("seed 7 must give the same digit again, and seed 8 another one")
	}
	w := httptest.NewRecorder()
	if h(w, httptest.NewRequest("GET", "/?seed=x", nil)); w.Code != 400 {
		t.Errorf("seed x: status %d, want 400", w.Code)
	}
}
