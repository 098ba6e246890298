package export_test

import (
	"fmt"
	"log"

	"github.com/aekit/aekit/export"
	"github.com/aekit/aekit/train/arch"
)

// A model is finished for deployment: optimised, in an opset that other tools read, with
// the name of the program that made it.
func ExampleFinish() {
	preset, err := arch.Find("vae")
	if err != nil {
		log.Fatal(err)
	}
	model, err := preset.Build(arch.Config{Latent: 8, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	done, err := export.Finish(model, export.Options{Opset: 17, Producer: "my-trainer"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done.ProducerName, "opset", done.Opset(""), "IR", done.IRVersion)
	for _, out := range done.Graph.Outputs {
		fmt.Println(out.Name)
	}
	// Output:
	// my-trainer opset 17 IR 8
	// reconstruction
	// mu
	// logvar
}
