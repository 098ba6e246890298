package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aekit/aekit/train"
	"github.com/aekit/aekit/train/arch"
	"github.com/aekit/aekit/train/dataset"
)

// Train a small variational autoencoder on the built-in digits.
func Example() {
	digits, err := dataset.NewDigits(1, 2000, 1, 16, 16, false)
	if err != nil {
		log.Fatal(err)
	}
	preset, err := arch.Find("vae")
	if err != nil {
		log.Fatal(err)
	}
	model, err := preset.Build(arch.Config{Width: 16, Height: 16, Hidden: []int{64}, Latent: 8})
	if err != nil {
		log.Fatal(err)
	}
	var losses []float64
	t, err := train.New(train.Config{
		Model: model, Objective: train.ELBO{}, Data: digits, Epochs: 3, Batch: 50, LR: 2e-3,
		OnEpoch: func(e train.Epoch) { losses = append(losses, e.Train.Total()) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	if _, err := t.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("epochs:", len(losses), "learned:", losses[2] < 0.8*losses[0])
	trained, err := t.Model()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("nodes:", len(trained.Graph.Nodes))
	// Output:
	// epochs: 3 learned: true
	// nodes: 11
}
