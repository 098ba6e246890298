package dataset_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/aekit/aekit/train/dataset"
)

func Example() {
	ctx := context.Background()
	data, err := dataset.Open(ctx, "digits", dataset.Options{N: 1000, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	train, val, err := dataset.Split(data.Train, 0.1, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(train.Len(), "images to train with,", val.Len(), "to validate,", data.Test.Len(), "to test")

	loader, err := dataset.NewLoader(train, dataset.LoaderOptions{Batch: 128, Seed: 1, Epochs: 2})
	if err != nil {
		log.Fatal(err)
	}
	defer loader.Close()
	for {
		b, err := loader.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		if b.Last {
			fmt.Printf("epoch %d: %d batches, the last of %d images\n", b.Epoch, b.Step+1, len(b.Index))
		}
		loader.Recycle(b)
	}
	// Output:
	// 900 images to train with, 100 to validate, 166 to test
	// epoch 0: 8 batches, the last of 4 images
	// epoch 1: 8 batches, the last of 4 images
}
