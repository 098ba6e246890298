package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// amounts lists the fields of a that are numbers, by the names that ParseAugment takes.
func (a *Augment) amounts() []struct {
	name string
	v    *float64
} {
	return []struct {
		name string
		v    *float64
	}{
		{"crop", &a.Crop}, {"shift", &a.Shift}, {"rotate", &a.Rotate}, {"scale", &a.Scale}, {"shear", &a.Shear},
		{"brightness", &a.Brightness}, {"contrast", &a.Contrast}, {"saturation", &a.Saturation},
	}
}

// ParseAugment reads a list such as "flip,crop=0.1,rotate=10": flip, and names of the
// other fields of [Augment] in lower case with their amounts. "" and "none" give nil.
func ParseAugment(s string) (*Augment, error) {
	if s = strings.TrimSpace(s); s == "" || s == "none" {
		return nil, nil
	}
	a := &Augment{}
	seen := map[string]bool{}
items:
	for _, item := range strings.Split(s, ",") {
		name, value, has := strings.Cut(strings.TrimSpace(item), "=")
		if seen[name] {
			return nil, fmt.Errorf("dataset: augmentation: %s occurs twice", name)
		}
		seen[name] = true
		if name == "flip" && !has {
			a.Flip = true
			continue
		}
		for _, f := range a.amounts() {
			if f.name != name {
				continue
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, fmt.Errorf("dataset: augmentation: %q, want %s=NUMBER", item, name)
			}
			*f.v = v
			continue items
		}
		names := []string{"flip"}
		for _, f := range a.amounts() {
			names = append(names, f.name+"=…")
		}
		return nil, fmt.Errorf("dataset: augmentation: no %q; there are %s", item, strings.Join(names, ", "))
	}
	return a, a.check()
}

// String returns what ParseAugment reads.
func (a *Augment) String() string {
	if a == nil || *a == (Augment{}) {
		return "none"
	}
	var parts []string
	if a.Flip {
		parts = append(parts, "flip")
	}
	for _, f := range a.amounts() {
		if *f.v != 0 {
			parts = append(parts, f.name+"="+strconv.FormatFloat(*f.v, 'g', -1, 64))
		}
	}
	return strings.Join(parts, ",")
}
