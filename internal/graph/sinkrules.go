package graph

import (
	"slices"

	"github.com/aekit/aekit/tensor"
)

// sinkRules are the operators that SinkTransposes knows.
var sinkRules = func() map[string]*sinkRule {
	rules := map[string]*sinkRule{
		"Concat":           {all: true, move: moveAxis("axis", 0)},
		"Split":            {move: moveAxis("axis", 0)},
		"QuantizeLinear":   {move: moveScale},
		"DequantizeLinear": {move: moveScale},
		"Softmax":          {move: moveSoftmax},
		"LogSoftmax":       {move: moveSoftmax},
		"Pad":              {move: movePad},
		"Slice":            {move: moveSlice},
		"Tile":             {move: moveVectors(1)},
		"Resize":           {move: moveResize},
		"Upsample":         {move: moveVectors(1)},
		"Dropout": {move: func(k *sinker, m *Node, perm []int) ([]int, bool) {
			return perm, k.isIdentity(m)
		}},
	}
	for name := range set("Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish " +
		"Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan " +
		"Tanh ThresholdedRelu") {
		rules[name] = &sinkRule{move: keepOrder}
	}
	for name := range broadcasts {
		rules[name] = &sinkRule{all: true, move: keepOrder}
	}
	rules["PRelu"] = &sinkRule{all: true, move: keepOrder}
	for name := range reductions {
		rules[name] = &sinkRule{move: moveReduce}
	}
	return rules
}()

func keepOrder(_ *sinker, _ *Node, perm []int) ([]int, bool) { return perm, true }

// moveAxis is for operators with one axis in an attribute.
func moveAxis(name string, def int64) func(*sinker, *Node, []int) ([]int, bool) {
	return func(_ *sinker, m *Node, perm []int) ([]int, bool) {
		axis, ok := axisOf(m, len(perm), def)
		if !ok {
			return nil, false
		}
		m.Attrs = withInt(m.Attrs, name, int64(perm[axis]))
		return perm, true
	}
}

// moveScale is for QuantizeLinear and DequantizeLinear, whose axis matters where the scale
// is a vector.
func moveScale(k *sinker, m *Node, perm []int) ([]int, bool) {
	if len(m.In) < 2 || m.In[1] == None {
		return nil, false
	}
	scale := k.Values[m.In[1]]
	if scale.Kind != Constant || intAttr(m, "block_size", 0) != 0 {
		return nil, false
	}
	switch scale.Data.Rank() {
	case 0:
		return perm, true
	case 1:
		return moveAxis("axis", 1)(k, m, perm)
	}
	return nil, false
}

// moveSoftmax is for operators along one axis; before opset 13 they took all axes from that
// one on together.
func moveSoftmax(k *sinker, m *Node, perm []int) ([]int, bool) {
	last := len(perm) - 1
	if m.Opset >= 13 {
		return moveAxis("axis", -1)(k, m, perm)
	}
	axis, ok := axisOf(m, len(perm), 1)
	return perm, ok && axis == last && perm[last] == last
}

// vector returns an input whose elements stand for the axes, in the order of the input of
// the Transpose: element perm[a] is what element a was.
func (k *sinker) vector(m *Node, i int, perm []int) bool {
	if i >= len(m.In) || m.In[i] == None {
		return true
	}
	id := m.In[i]
	v := k.Values[id]
	if v.Kind == Constant {
		parts := 1
		switch v.Data.Elems() {
		case 0:
			return true
		case len(perm):
		case 2 * len(perm): // begins and ends
			parts = 2
		default:
			return false
		}
		t, err := v.Data.Reshape(parts, len(perm))
		if err != nil {
			return false
		}
		// Columns of a matrix, reordered through its transposition.
		rows, err := transposed(t, []int{1, 0})
		if err != nil {
			return false
		}
		size := len(rows.Bytes()) / len(perm)
		moved := rows.Clone()
		for a, p := range perm {
			copy(moved.Bytes()[p*size:(p+1)*size], rows.Bytes()[a*size:])
		}
		if t, err = transposed(moved, []int{1, 0}); err != nil {
			return false
		}
		if t, err = t.Reshape(v.Data.Shape()...); err != nil {
			return false
		}
		m.In[i] = k.AddConst(v.Name+"_t", t)
		return true
	}
	if k.rank(id) != 1 {
		return false
	}
	idx := make([]int64, len(perm))
	for j, a := range inverse(perm) {
		idx[j] = int64(a)
	}
	out := k.AddValue(Value{Name: v.Name + "_t"})
	g, err := k.Make(Spec{Name: v.Name + "_t", OpType: "Gather", In: []ValueID{id, k.AddConst(v.Name+"_order", tensor.Must(tensor.Of(idx, len(idx))))}, Out: []ValueID{out}})
	if err != nil {
		return false
	}
	k.ranks[out] = 1
	k.emit(g)
	m.In[i] = out
	return true
}

// moveVectors is for operators whose listed inputs have an element for each axis.
func moveVectors(inputs ...int) func(*sinker, *Node, []int) ([]int, bool) {
	return func(k *sinker, m *Node, perm []int) ([]int, bool) {
		for _, i := range inputs {
			if !k.vector(m, i, perm) {
				return nil, false
			}
		}
		return perm, true
	}
}

// axesInput replaces input i, a constant list of axes, which is all if omitted.
func (k *sinker) axesInput(m *Node, i, count int, perm []int) bool {
	list := make([]int64, count)
	for a := range list {
		list[a] = int64(a)
	}
	if i < len(m.In) && m.In[i] != None {
		t, err := k.ConstOf(m.In[i])
		if err != nil || t.DType() != tensor.Int64 && t.DType() != tensor.Int32 || t.Rank() > 1 {
			return false
		}
		list = list[:0]
		for _, e := range vectorOf(t).elems {
			list = append(list, e.n)
		}
	}
	for j, a := range list {
		if a < 0 {
			a += int64(len(perm))
		}
		if a < 0 || a >= int64(len(perm)) {
			return false
		}
		list[j] = int64(perm[a])
	}
	for len(m.In) <= i {
		m.In = append(m.In, None)
	}
	m.In[i] = k.AddConst(m.Name+"_axes", tensor.Must(tensor.Of(list, len(list))))
	return true
}

func movePad(k *sinker, m *Node, perm []int) ([]int, bool) {
	if len(m.In) > 3 && m.In[3] != None {
		return perm, k.axesInput(m, 3, 0, perm)
	}
	if len(m.In) < 2 || m.In[1] == None || k.Values[m.In[1]].Kind != Constant {
		return nil, false
	}
	return moveVectors(1)(k, m, perm)
}

func moveSlice(k *sinker, m *Node, perm []int) ([]int, bool) {
	if len(m.In) < 3 || m.In[1] == None {
		return nil, false
	}
	starts, err := k.ConstOf(m.In[1])
	if err != nil || starts.Elems() > len(perm) {
		return nil, false
	}
	// The axes have the type of the other inputs.
	if starts.DType() != tensor.Int64 {
		return nil, false
	}
	return perm, k.axesInput(m, 3, starts.Elems(), perm)
}

func moveResize(k *sinker, m *Node, perm []int) ([]int, bool) {
	if m.Opset < 11 {
		return moveVectors(1)(k, m, perm)
	}
	if a := attr(m, "axes"); a != nil {
		axes := slices.Clone(a.Ints)
		for i, v := range axes {
			if v < 0 {
				v += int64(len(perm))
			}
			if v < 0 || v >= int64(len(perm)) {
				return nil, false
			}
			axes[i] = int64(perm[v])
		}
		m.Attrs = withInts(m.Attrs, "axes", axes)
		return perm, true
	}
	if len(m.In) > 1 && m.In[1] != None && k.Values[m.In[1]].Kind != Constant {
		return nil, false
	}
	return moveVectors(1, 2, 3)(k, m, perm)
}

// moveReduce is for reductions over a constant list of axes.
func moveReduce(k *sinker, m *Node, perm []int) ([]int, bool) {
	if len(m.In) < 2 || m.In[1] == None {
		if intAttr(m, "noop_with_empty_axes", 0) != 0 {
			return perm, true
		}
		if intAttr(m, "keepdims", 1) == 0 {
			return []int{}, true
		}
		return perm, true
	}
	t, err := k.ConstOf(m.In[1])
	if err != nil || t.DType() != tensor.Int64 || t.Elems() == 0 {
		return nil, false
	}
	reduced := make([]bool, len(perm)) // in the order of the input of the Transpose
	for _, a := range t.Int64s() {
		if a < 0 {
			a += int64(len(perm))
		}
		if a < 0 || a >= int64(len(perm)) {
			return nil, false
		}
		reduced[perm[a]] = true
	}
	if !k.axesInput(m, 1, 0, perm) {
		return nil, false
	}
	if intAttr(m, "keepdims", 1) != 0 {
		return perm, true
	}
	place := make([]int, len(perm))
	n := 0
	for a, r := range reduced {
		place[a] = n
		if !r {
			n++
		}
	}
	out := []int{}
	for _, p := range perm {
		if !reduced[p] {
			out = append(out, place[p])
		}
	}
	return out, true
}
