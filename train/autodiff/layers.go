package autodiff

import (
	"strings"

	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

// layerRules: pooling, normalisation, movement of elements, and contractions.
var layerRules = map[op.Key]rule{
	{Type: "AveragePool"}:           poolRule("AveragePoolGrad", false),
	{Type: "GlobalAveragePool"}:     poolRule("AveragePoolGrad", true),
	{Type: "GlobalMaxPool"}:         poolRule("MaxPoolGrad", true),
	{Type: "MaxPool"}:               poolRule("MaxPoolGrad", false),
	{Type: "BatchNormalization"}:    batchNormRule,
	{Type: "GroupNormalization"}:    normRule,
	{Type: "InstanceNormalization"}: normRule,
	{Type: "LayerNormalization"}:    normRule,
	{Type: "RMSNormalization"}:      normRule,
	{Type: "CenterCropPad"}:         moveRule("axes"),
	{Type: "CumSum"}:                cumSumRule,
	{Type: "DepthToSpace"}:          moveRule("blocksize", "mode"),
	{Type: "Einsum"}:                einsumRule,
	{Type: "GatherND"}:              moveRule("batch_dims"),
	{Type: "Pad"}:                   moveRule("mode"),
	{Type: "Resize"}:                resizeRule,
	{Type: "ReverseSequence"}:       moveRule("batch_axis", "time_axis"),
	{Type: "SpaceToDepth"}:          moveRule("blocksize"),
	{Type: "Trilu"}:                 moveRule("upper"),
	{Type: "Upsample"}:              resizeRule,
}

func poolRule(name string, global bool) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		if dy[0] == graph.None {
			return errNoRule
		}
		attrs := windowAttrs(n)
		if global {
			attrs = append(attrs, onnx.AttrI("global", 1))
		}
		if c := attr(n, "count_include_pad"); c != nil {
			attrs = append(attrs, c)
		}
		d.add(n.In[0], d.grad(name, []graph.ValueID{dy[0], n.In[0]}, attrs...))
		return nil
	}
}

func batchNormRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if dy[0] == graph.None {
		return nil
	}
	training := attrInt(n, "training_mode", 0)
	if n.Opset < 14 && len(n.Out) > 1 {
		training = 1
	}
	if training == 0 && (d.needs(n.In[3]) || d.needs(n.In[4])) {
		return errNoRule
	}
	out := d.node(graddomain, "BatchNormGrad", 3, []graph.ValueID{dy[0], n.In[0], n.In[1], n.In[3], n.In[4]},
		onnx.AttrF("epsilon", attrFloat(n, "epsilon", 1e-5)), onnx.AttrI("training_mode", training))
	for i, dx := range out {
		d.add(n.In[i], dx)
	}
	return nil
}

func normRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	if dy[0] == graph.None {
		return errNoRule
	}
	attrs := []*onnx.Attribute{onnx.AttrF("epsilon", attrFloat(n, "epsilon", 1e-5))}
	switch n.OpType {
	case "GroupNormalization":
		attrs = append(attrs, onnx.AttrI("groups", attrInt(n, "num_groups", 1)))
	case "InstanceNormalization":
		attrs = append(attrs, onnx.AttrI("groups", -1))
	default:
		attrs = append(attrs, onnx.AttrI("axis", attrInt(n, "axis", -1)))
		if n.OpType == "RMSNormalization" {
			attrs = append(attrs, onnx.AttrI("rms", 1))
		}
	}
	out := d.node(graddomain, "NormGrad", 3, []graph.ValueID{dy[0], n.In[0], n.In[1]}, attrs...)
	for i, dx := range out {
		if x := input(n, i); x != graph.None {
			d.add(x, dx)
		}
	}
	return nil
}

// moveRule is that of operators that only move elements.
func moveRule(names ...string) rule {
	return func(d *differ, n *graph.Node, dy []graph.ValueID) error {
		in := append([]graph.ValueID{dy[0]}, n.In...)
		if n.OpType == "Pad" && len(in) > 3 {
			if d.needs(in[3]) {
				return errNoRule
			}
			in[3] = graph.None
		}
		var attrs []*onnx.Attribute
		for _, name := range names {
			if a := attr(n, name); a != nil {
				attrs = append(attrs, a)
			}
		}
		d.add(n.In[0], d.grad(n.OpType+"Grad", in, attrs...))
		return nil
	}
}

// resizeRule passes the attributes on; the forms of Resize before opset 11, and Upsample,
// are written as the newest one.
func resizeRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	in := []graph.ValueID{dy[0], n.In[0], graph.None, graph.None, graph.None}
	var attrs []*onnx.Attribute
	if n.OpType == "Upsample" || n.Opset < 11 {
		in[3] = input(n, 1)
		mode := attrString(n, "mode", "nearest")
		if mode == "bilinear" {
			mode = "linear"
		}
		attrs = []*onnx.Attribute{onnx.AttrS("mode", mode), onnx.AttrS("coordinate_transformation_mode", "asymmetric"), onnx.AttrS("nearest_mode", "floor")}
	} else {
		for i := 1; i < len(n.In); i++ {
			in[i+1] = n.In[i]
		}
		attrs = n.Attrs
	}
	d.add(n.In[0], d.grad("ResizeGrad", in, attrs...))
	return nil
}

// cumSumRule sums in the opposite direction.
func cumSumRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	d.add(n.In[0], d.op("CumSum", []graph.ValueID{dy[0], n.In[1]},
		onnx.AttrI("exclusive", attrInt(n, "exclusive", 0)), onnx.AttrI("reverse", 1-attrInt(n, "reverse", 0))))
	return nil
}

// einsumRule: the gradient of one operand is the contraction of dy with the others. Labels
// that occur in one operand only, or twice in one, are not covered.
func einsumRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	eq := strings.ReplaceAll(attrString(n, "equation", ""), " ", "")
	left, result, explicit := strings.Cut(eq, "->")
	terms := strings.Split(left, ",")
	if !explicit || strings.Contains(eq, ".") || len(terms) != len(n.In) {
		return errNoRule
	}
	for i, x := range n.In {
		if !d.needs(x) {
			continue
		}
		in, from := []graph.ValueID{dy[0]}, result
		for j, t := range terms {
			if j != i {
				in, from = append(in, n.In[j]), from+","+t
			}
		}
		for k, label := range terms[i] {
			if !strings.ContainsRune(from, label) || strings.ContainsRune(terms[i][k+1:], label) {
				return errNoRule
			}
		}
		d.add(x, d.op("Einsum", in, onnx.AttrS("equation", from+"->"+terms[i])))
	}
	return nil
}
