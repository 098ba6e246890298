package op

import (
	"fmt"
	"maps"

	"github.com/aekit/aekit/tensor"
)

// Key names an operator: its domain, "" for the standard one, and its type.
type Key struct{ Domain, Type string }

// Version is one version of an operator: valid from opset Since up to the next Version.
type Version struct {
	Since int
	// New reads the attributes and returns the operator. A function that makes several New is
	// marked noinline, or the program would have a copy of its result for each.
	New func(a *Attrs) (Op, error)
	// Types is the set of element types that the version accepts for its first input (or
	// gives as output, where it has no inputs), as [Attrs.Types] hands it to New. Zero: New
	// decides.
	Types Types
	// Lift lists attributes of this version that became inputs later. Building a graph
	// turns them into constants, so that New sees the later form only.
	Lift []Lift
	// As, if not empty, is the operator type that replaced this one; New is not used and
	// the node is read as the first version of that type whose Since is at least AsOpset.
	As      string
	AsOpset int
	// AsStandard: that type is one of the standard domain.
	AsStandard bool
}

// Lift says that an attribute is to become a constant input.
type Lift struct {
	Attr  string
	Input int
	// DType is the type of the constant. Undefined means the type of input 0.
	DType tensor.DType
	// Scalar: the constant has rank 0, or else rank 1.
	Scalar bool
}

// Set is a table of operators, each with its versions in ascending order.
type Set map[Key][]Version

// row is an operator of a table, with its versions in ascending order.
type row struct {
	Key
	versions []Version
}

func newSet(core, more []row) Set {
	s := make(Set, len(core)+len(more))
	for _, rows := range [2][]row{core, more} {
		for _, r := range rows {
			s[r.Key] = r.versions
		}
	}
	return s
}

// Find returns the version of an operator that holds at an opset.
func (s Set) Find(domain, typ string, opset int) (*Version, bool) {
	vs := s[Key{domain, typ}]
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].Since <= opset {
			return &vs[i], true
		}
	}
	return nil, false
}

// Make returns the operator that a node describes, at an opset of its domain.
func (s Set) Make(a *Attrs) (Op, error) {
	v, ok := s.Find(a.node.Domain, a.node.OpType, a.opset)
	if !ok {
		return nil, fmt.Errorf("operator %q of domain %q is not supported at opset %d", a.node.OpType, a.node.Domain, a.opset)
	}
	if v.New == nil {
		return nil, fmt.Errorf("operator %q at opset %d was not normalised", a.node.OpType, a.opset)
	}
	a.types = v.Types
	o, err := v.New(a)
	if err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return o, nil
}

// With returns a set that holds the operators of s and of others, later ones first.
func (s Set) With(others ...Set) Set {
	out := maps.Clone(s)
	for _, o := range others {
		maps.Copy(out, o)
	}
	return out
}
