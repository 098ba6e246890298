package op

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/parallel"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

// attrPool makes random attributes that one version of an operator reads.
type attrPool struct {
	types   map[string]onnx.AttrType
	choices map[string][]string
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

// discover finds out which attributes a version reads, and their types, by trying.
func discover(v Version, typ string, opset int) attrPool {
	p := attrPool{map[string]onnx.AttrType{}, map[string][]string{}}
	names := []string{}
	try := func(attrs ...*onnx.Attribute) error {
		a := NewAttrs(&onnx.Node{OpType: typ, Attrs: attrs, Inputs: make([]string, 2), Outputs: []string{"y"}}, opset, nil)
		a.types = v.Types
		_, err := v.New(a)
		for _, n := range a.read {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if a.err != nil {
			err = a.err
		}
		return err
	}
	try()
	one := tensor.Scalar(float32(1))
	for i := 0; i < len(names); i++ {
		for _, t := range []onnx.AttrType{onnx.AttrInt, onnx.AttrFloat, onnx.AttrString, onnx.AttrTensor, onnx.AttrFloats, onnx.AttrInts} {
			err := try(&onnx.Attribute{Name: names[i], Type: t, Int: 1, Ints: []int64{1}, String: []byte("?"), Tensor: &onnx.Tensor{Value: one}})
			if err != nil && strings.Contains(err.Error(), fmt.Sprintf("%q has type", names[i])) {
				continue
			}
			p.types[names[i]] = t
			if err != nil && t == onnx.AttrString {
				if _, list, ok := strings.Cut(err.Error(), "is not one of"); ok {
					for _, m := range quoted.FindAllStringSubmatch(list, -1) {
						p.choices[names[i]] = append(p.choices[names[i]], m[1])
					}
				}
			}
			break
		}
	}
	p.choices["equation"] = []string{"ij,jk->ik", "ij->ji", "ii->i", "...ij,...jk->...ik", "i,i", "ijk->", "a...->...a", "ab,bc,cd->da"}
	p.choices["direction"] = append(p.choices["direction"], "LEFT", "RIGHT", "forward", "reverse", "bidirectional")
	return p
}

func (p attrPool) random(r *rand.Rand) []*onnx.Attribute {
	var out []*onnx.Attribute
	ints := []int64{0, 1, 2, 3, -1, -2, 5, math.MaxInt64, math.MinInt64, 1 << 31, 1 << 40}
	pick := func() int64 {
		if r.IntN(8) > 0 {
			return ints[r.IntN(5)]
		}
		return ints[r.IntN(len(ints))]
	}
	floats := []float32{0, 1, -1, 0.5, 3, float32(math.NaN()), float32(math.Inf(1)), 1e38}
	names := make([]string, 0, len(p.types))
	for n := range p.types {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if r.IntN(2) == 0 {
			continue
		}
		a := &onnx.Attribute{Name: n, Type: p.types[n], Int: pick(), Float: floats[r.IntN(len(floats))]}
		for range r.IntN(5) {
			a.Ints = append(a.Ints, pick())
			a.Floats = append(a.Floats, floats[r.IntN(len(floats))])
		}
		if c := p.choices[n]; len(c) > 0 {
			a.String = []byte(c[r.IntN(len(c))])
		}
		a.Tensor = &onnx.Tensor{Value: hostileTensor(r, false)}
		out = append(out, a)
	}
	return out
}

var hostileTypes = []tensor.DType{
	tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Bool, tensor.Int8, tensor.Int16,
	tensor.Int32, tensor.Int64, tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64,
}

// narrowTypes are those that few operators take.
var narrowTypes = []tensor.DType{
	tensor.Float8E4M3FN, tensor.Float8E5M2, tensor.Float8E8M0, tensor.Float4E2M1, tensor.Uint4, tensor.Int4, tensor.Int2,
}

// hostileTensor returns a small tensor of any shape and type; indexLike ones are integers
// of rank 0 or 1 as often as not.
func hostileTensor(r *rand.Rand, indexLike bool) *tensor.Tensor {
	d := hostileTypes[r.IntN(len(hostileTypes))]
	switch r.IntN(6) {
	case 0, 1, 2:
		d = tensor.Float32
	case 3:
		d = narrowTypes[r.IntN(len(narrowTypes))]
	}
	rank := r.IntN(5)
	if indexLike && r.IntN(2) == 0 {
		d, rank = tensor.Int64, r.IntN(2)
	}
	shape := make([]int, rank)
	for i := range shape {
		shape[i] = r.IntN(5)
		if shape[i] == 0 && r.IntN(3) > 0 {
			shape[i] = 2
		}
	}
	t := tensor.Must(tensor.New(d, shape...))
	values := []float64{0, 1, 2, 3, -1, -2, 0.5, 7, math.Inf(1), math.NaN(), 1e300, -1e18}
	f := tensor.Must(tensor.New(tensor.Float64, shape...))
	for i := range tensor.Data[float64](f) {
		k := r.IntN(len(values))
		if r.IntN(4) > 0 {
			k = r.IntN(5)
		}
		tensor.Data[float64](f)[i] = values[k]
	}
	convert(t, f)
	return t
}

// TestHostileInputs gives every operator random attributes, types, shapes and values.
// Whatever Infer accepts must run without a panic and write no more than the output; what
// it refuses must be refused with an error.
func TestHostileInputs(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	pool := parallel.New(2)
	defer pool.Close()
	keys := make([]Key, 0, len(Core))
	for k := range Core {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Domain+a.Type, b.Domain+b.Type) })
	idle := []string{}
	for _, k := range keys {
		ran := 0
		for vi, v := range Core[k] {
			if v.New == nil {
				ran++
				continue
			}
			opset := max(25, v.Since)
			if vi+1 < len(Core[k]) {
				opset = Core[k][vi+1].Since - 1
			}
			p := discover(v, k.Type, opset)
			r := rand.New(rand.NewPCG(1, uint64(len(k.Type))*31+uint64(v.Since)))
			for range rounds {
				ran += hostileRound(t, r, k, v, opset, p, pool)
			}
		}
		if ran == 0 {
			idle = append(idle, k.Type)
		}
	}
	t.Logf("%d operators; never accepted a random input: %v", len(keys), idle)
}

// hostileRound tries one random node and returns 1 if it ran.
func hostileRound(t *testing.T, r *rand.Rand, k Key, v Version, opset int, p attrPool, pool *parallel.Pool) (ran int) {
	n := &onnx.Node{OpType: k.Type, Domain: k.Domain, Attrs: p.random(r)}
	var in []*tensor.Tensor
	for i := range []int{0, 1, 1, 2, 2, 3, 3, 4, 5, 6}[r.IntN(10)] {
		var x *tensor.Tensor
		switch c := r.IntN(12); {
		case i == 0:
			x = hostileTensor(r, false)
			if d := hostileTypes[r.IntN(len(hostileTypes))]; v.Types.Has(d) {
				y := tensor.Must(tensor.New(d, x.Shape()...))
				convert(y, x)
				x = y
			}
		case c < 4:
			x = in[0].Clone()
			if d := []tensor.DType{tensor.Int64, tensor.Bool, tensor.Int32}[r.IntN(3)]; r.IntN(3) == 0 {
				y := tensor.Must(tensor.New(d, x.Shape()...))
				convert(y, x)
				x = y
			}
		case c < 7:
			y := hostileTensor(r, false)
			x = tensor.Must(tensor.New(in[0].DType(), y.Shape()...))
			convert(x, y)
		case c < 11:
			x = hostileTensor(r, true)
		}
		in = append(in, x)
		n.Inputs = append(n.Inputs, "x")
	}
	for range 1 + r.IntN(3) {
		n.Outputs = append(n.Outputs, "y")
	}
	facts := make([]Fact, len(in))
	for i, x := range in {
		facts[i] = FactOf(x)
	}
	defer func() {
		if e := recover(); e != nil {
			attrs := ""
			for _, a := range n.Attrs {
				attrs += fmt.Sprintf(" %s=%d %v %q %v", a.Name, a.Int, a.Float, a.String, a.Ints)
			}
			values := ""
			for _, x := range in {
				values += " " + x.String()
				if x != nil && x.DType() == tensor.Int64 {
					values += fmt.Sprint(x.Int64s())
				}
			}
			t.Errorf("%s.%s opset %d%s inputs %s: panic: %v", k.Domain, k.Type, opset, attrs, values, e)
		}
	}()
	a := NewAttrs(n, opset, nil)
	o, err := (Set{k: {v}}).Make(a)
	if err != nil {
		return 0
	}
	unknown := slices.Clone(facts)
	for i := range unknown {
		unknown[i].Const = nil
	}
	early, earlyErr := o.Infer(unknown)
	// Shapes that are known before the run may be as large as they like.
	huge := slices.Clone(unknown)
	for i, f := range huge {
		huge[i].Shape = f.Shape.Clone()
		for j := range huge[i].Shape {
			if r.IntN(2) == 0 {
				huge[i].Shape[j] = []int{math.MaxInt, math.MaxInt / 2, math.MaxInt32, 1 << 20, 0}[r.IntN(5)]
			}
		}
	}
	if big, err := o.Infer(huge); err == nil {
		for i, f := range big {
			for _, d := range f.Shape {
				if d < 0 {
					t.Errorf("%s inputs %v: output %d has shape %v", k.Type, huge, i, f.Shape)
				}
			}
		}
	}
	got, err := o.Infer(facts)
	if err != nil {
		if errors.Is(err, ErrDeferred) {
			t.Errorf("%s inputs %v: Infer is deferred although all values are known", k.Type, facts)
		}
		return 0
	}
	if earlyErr == nil {
		for i := range min(len(early), len(got)) {
			if early[i].DType != got[i].DType || !early[i].Shape.Equal(got[i].Shape) {
				t.Errorf("%s inputs %v: Infer gives %v without values and %v with them", k.Type, facts, early, got)
			}
		}
	} else if !errors.Is(earlyErr, ErrDeferred) {
		t.Errorf("%s inputs %v: accepted with values, without them: %v", k.Type, facts, earlyErr)
	}
	out := make([]*tensor.Tensor, len(got))
	guards := make([][]byte, len(got))
	for i, f := range got {
		size, err := tensor.ByteSize(f.DType, f.Shape)
		if err != nil {
			return 0
		}
		if size > 1<<22 {
			return 0
		}
		buf := tensor.AlignedBytes(size + 64)
		for j := range buf {
			buf[j] = 0xa5
		}
		if f.DType == tensor.Bool {
			clear(buf[:size])
		}
		out[i], guards[i] = tensor.Must(tensor.FromBytes(f.DType, buf[:size:size], f.Shape...)), buf[size:]
	}
	var state any
	ctx := &Context{Pool: pool, State: &state, Account: func(n int) error {
		if n > 1<<24 {
			return errors.New("too much")
		}
		return nil
	}}
	if w, ok := o.(Workspacer); ok {
		n := w.Workspace(facts)
		if n < 0 || n > 1<<26 {
			return 0
		}
		ctx.Scratch = tensor.AlignedBytes(n)
	}
	if err := o.Run(ctx, out, in); err != nil {
		return 0
	}
	for i, g := range guards {
		for _, b := range g {
			if b != 0xa5 {
				t.Fatalf("%s inputs %v wrote behind output %d", k.Type, facts, i)
			}
		}
	}
	return 1
}
