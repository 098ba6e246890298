package graph

// Pass rewrites a graph into an equivalent one that is still expressible as ONNX.
type Pass struct {
	Name string
	Run  func(g *Graph) (changed bool, err error)
}

// Portable are the passes that keep a graph expressible as ONNX, in the order in which
// they help each other.
var Portable = []Pass{
	{"remove-identity", RemoveIdentity},
	{"fold-constants", FoldConstants},
	{"fold-shapes", FoldShapes},
	{"fuse-shuffles", FuseShuffles},
	{"sink-transposes", SinkTransposes},
	{"matmul-to-gemm", MatMulToGemm},
	{"fold-batchnorm", FoldBatchNorm},
	{"merge-equal", MergeEqual},
	{"remove-dead", RemoveDeadNodes},
}

// maxRounds bounds how often Optimize repeats the list: each round that changes something
// removes or merges a node, and the later rounds of real models change nothing.
const maxRounds = 8

// RemoveDeadNodes removes the nodes that no output and no commit depends on.
func RemoveDeadNodes(g *Graph) (bool, error) {
	before := len(g.Nodes)
	g.RemoveDead()
	return len(g.Nodes) != before, nil
}

// Optimize applies the portable passes until none of them changes the graph. The graph's
// inputs and outputs keep their names.
func Optimize(g *Graph) error {
	for range maxRounds {
		any := false
		for _, p := range Portable {
			changed, err := p.Run(g)
			if err != nil {
				return errorf("pass %s: %w", p.Name, err)
			}
			any = any || changed
		}
		if !any {
			break
		}
	}
	return nil
}
