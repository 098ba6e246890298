package train

import (
	"fmt"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/tensor"
)

// inputPrior is the random input of latent vectors drawn from the prior.
const inputPrior = "aekit:prior"

// call appends a network of the kit, applied to ins, and returns its outputs. All calls of
// a network share its parameters.
func (b *lossBuilder) call(name string, ins ...id) ([]id, error) {
	for i := range b.kit.networks {
		n := &b.kit.networks[i]
		if n.name != name {
			continue
		}
		if len(ins) != len(n.in) {
			return nil, fmt.Errorf("train: %s takes %d inputs, not %d", name, len(n.in), len(ins))
		}
		at := map[id]id{}
		for k, in := range n.in {
			at[in] = ins[k]
		}
		for k, v := range n.g.Values {
			if v.Data == nil {
				continue
			}
			if p := b.g.Lookup(name + "/" + v.Name); p != graph.None {
				at[id(k)] = p
			} else {
				at[id(k)] = b.g.AddConst(name+"/"+v.Name, v.Data)
			}
		}
		b.splice(n.g, n.g.Nodes, name+"/", at)
		var outs []id
		for _, o := range n.out {
			outs = append(outs, at[o])
		}
		return outs, nil
	}
	return nil, fmt.Errorf("train: there is no network %q", name)
}

// splice appends copies of nodes of from, whose values become those that at says, or new
// ones, which are added to it.
func (b *lossBuilder) splice(from *graph.Graph, nodes []*graph.Node, prefix string, at map[id]id) {
	for _, n := range nodes {
		c := *n
		c.Name = prefix + n.Name
		c.In, c.Out = make([]id, len(n.In)), make([]id, len(n.Out))
		for i, v := range n.In {
			c.In[i] = v
			if v != graph.None {
				if w, ok := at[v]; ok {
					c.In[i] = w
				}
			}
		}
		for i, v := range n.Out {
			c.Out[i] = graph.None
			if v != graph.None {
				c.Out[i] = b.g.AddValue(graph.Value{Name: prefix + from.Value(v).Name, Type: from.Value(v).Type})
				at[v] = c.Out[i]
			}
		}
		if _, ok := b.g.Opsets[n.Domain]; !ok {
			b.g.Opsets[n.Domain] = n.Opset
		}
		b.g.Nodes = append(b.g.Nodes, &c)
	}
}

// again appends a copy of what lies between from and to, starting from another value, and
// returns what to is then.
func (b *lossBuilder) again(from, with, to id) (id, error) {
	depends := make([]bool, len(b.g.Values))
	depends[from] = true
	var path []*graph.Node
	for _, n := range b.g.Nodes {
		for _, in := range n.In {
			if in != graph.None && depends[in] {
				path = append(path, n)
				for _, o := range n.Out {
					if o != graph.None {
						depends[o] = true
					}
				}
				break
			}
		}
	}
	if !depends[to] {
		return graph.None, fmt.Errorf("train: %q does not depend on %q", b.g.Value(to).Name, b.g.Value(from).Name)
	}
	wanted := make([]bool, len(b.g.Values))
	wanted[to] = true
	var kept []*graph.Node
	for i := len(path) - 1; i >= 0; i-- {
		n := path[i]
		for _, o := range n.Out {
			if o != graph.None && wanted[o] {
				for _, in := range n.In {
					if in != graph.None {
						wanted[in] = true
					}
				}
				kept = append([]*graph.Node{n}, kept...)
				break
			}
		}
	}
	at := map[id]id{from: with}
	b.splice(b.g, kept, "again/", at)
	return at[to], nil
}

// decoderStart returns the value that the decoder now starts from.
func (b *lossBuilder) decoderStart() (id, error) {
	if b.sampled != nil {
		return b.sampled.z, nil
	}
	return b.value("z", b.values.Z)
}

// latentShape returns the shape of the latent vector of one image.
func (b *lossBuilder) latentShape() (tensor.Shape, error) {
	z, err := b.value("z", b.values.Z)
	if err != nil {
		return nil, err
	}
	return b.shapeOf(z)
}

// drawPrior returns draws from a standard normal distribution in the shape of the latents,
// one for each image. A model without encoder starts from them.
func (b *lossBuilder) drawPrior() (id, error) {
	if b.prior != graph.None {
		return b.prior, nil
	}
	shape, err := b.latentShape()
	if err != nil {
		return graph.None, err
	}
	if b.prior, err = b.noise(inputPrior, false, shape...); err != nil {
		return graph.None, err
	}
	z := b.g.Lookup(b.values.Z)
	for i, in := range b.g.Inputs {
		if in == z {
			b.g.Inputs = append(b.g.Inputs[:i:i], b.g.Inputs[i+1:]...)
			b.g.Replace(z, b.prior)
			break
		}
	}
	return b.prior, nil
}

// decodePrior returns the images of draws from the prior.
func (b *lossBuilder) decodePrior() (id, error) {
	start, err := b.decoderStart()
	if err != nil {
		return graph.None, err
	}
	x, err := b.reconstruction()
	if err != nil {
		return graph.None, err
	}
	z, err := b.drawPrior()
	if err != nil {
		return graph.None, err
	}
	if b.values.Image == "" {
		return x, nil
	}
	return b.again(start, z, x)
}
