package tensor_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"log"

	"github.com/aekit/aekit/tensor"
)

// A tensor over a slice shares its memory.
func ExampleOf() {
	data := []float32{1, 2, 3, 4, 5, 6}
	t, err := tensor.Of(data, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	data[0] = 10
	fmt.Println(t, t.Float32s())
	// Output: float32[2 3] [10 2 3 4 5 6]
}

// An image becomes the input of a model.
func ExampleFromImage() {
	img := image.NewGray(image.Rect(0, 0, 2, 1))
	img.SetGray(1, 0, color.Gray{Y: 255})
	t, err := tensor.FromImage(img, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t, t.Float32s())
	// Output: float32[1 1 1 2] [0 1]
}

// NumPy arrays are read and written.
func ExampleReadNPY() {
	var file bytes.Buffer
	if err := tensor.WriteNPY(&file, tensor.Must(tensor.Of([]int64{1, 2, 3}, 3))); err != nil {
		log.Fatal(err)
	}
	t, err := tensor.ReadNPY(&file, 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t, t.Int64s())
	// Output: int64[3] [1 2 3]
}
