package autodiff

import (
	"github.com/aekit/aekit/internal/graph"
	"github.com/aekit/aekit/internal/op"
	"github.com/aekit/aekit/onnx"
)

var linearRules = map[op.Key]rule{
	{Type: "Gemm"}:   gemmRule,
	{Type: "MatMul"}: matmulRule,
}

// gemmRule: y = α·A'·B' + β·C, where A' and B' may be transposed.
func gemmRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	g, a, b, c := dy[0], n.In[0], n.In[1], input(n, 2)
	ta, tb := attrInt(n, "transA", 0), attrInt(n, "transB", 0)
	alpha := attrFloat(n, "alpha", 1)
	gemm := func(x, y graph.ValueID, tx, ty int64) graph.ValueID {
		return d.op("Gemm", []graph.ValueID{x, y}, onnx.AttrI("transA", tx), onnx.AttrI("transB", ty), onnx.AttrF("alpha", alpha))
	}
	if d.needs(a) {
		if ta == 0 {
			d.add(a, gemm(g, b, 0, 1-tb))
		} else {
			d.add(a, gemm(b, g, tb, 1))
		}
	}
	if d.needs(b) {
		if tb == 0 {
			d.add(b, gemm(a, g, 1-ta, 0))
		} else {
			d.add(b, gemm(g, a, 1, ta))
		}
	}
	if d.needs(c) {
		d.add(c, d.scale(d.reduceTo(g, c), attrFloat(n, "beta", 1)))
	}
	return nil
}

func matmulRule(d *differ, n *graph.Node, dy []graph.ValueID) error {
	for side := range 2 {
		if d.needs(n.In[side]) {
			d.add(n.In[side], d.grad("MatMulGrad", []graph.ValueID{dy[0], n.In[0], n.In[1]}, onnx.AttrI("side", int64(side))))
		}
	}
	return nil
}
