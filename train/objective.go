package train

// Objective is what training minimises: loss graphs that are appended to a model. The
// values they need they find by the names in the model's metadata.
type Objective interface {
	// Parts names the reported terms. The first is the total.
	Parts() []string
	// Unit is the unit of the total in reports, "nats/image" or "MSE/pixel".
	Unit() string
	String() string

	// phases returns the losses. Their terms, one after the other, are Parts.
	phases() []phase
	check() error
}

// MSE is the squared difference between reconstruction and image, averaged over pixels
// and images.
type MSE struct{}

// Parts implements [Objective].
func (MSE) Parts() []string { return []string{"loss"} }

// Unit implements [Objective].
func (MSE) Unit() string   { return "MSE/pixel" }
func (MSE) String() string { return "mse" }
func (MSE) check() error   { return nil }

func (MSE) phases() []phase {
	return only(func(b *lossBuilder) error {
		x, err := b.reconstruction()
		if err != nil {
			return err
		}
		l, err := b.squared(x, b.target, 1, 0, true)
		if err != nil {
			return err
		}
		if l, err = b.batchMean(l); err != nil {
			return err
		}
		b.add(l)
		return nil
	})
}

// BCE is the binary cross-entropy between image and reconstruction, summed over pixels and
// averaged over images, computed from the logits behind the model's final Sigmoid.
type BCE struct{}

// Parts implements [Objective].
func (BCE) Parts() []string { return []string{"loss"} }

// Unit implements [Objective].
func (BCE) Unit() string   { return "nats/image" }
func (BCE) String() string { return "bce" }
func (BCE) check() error   { return nil }

func (BCE) phases() []phase {
	return only(func(b *lossBuilder) error {
		x, err := b.reconstruction()
		if err != nil {
			return err
		}
		l, err := b.bernoulli(x, b.target)
		if err != nil {
			return err
		}
		if l, err = b.batchMean(l); err != nil {
			return err
		}
		b.add(l)
		return nil
	})
}
