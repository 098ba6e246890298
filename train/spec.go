package train

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// objectives lists, by name, every objective with the values that it has unless told
// otherwise. All are structs of numbers, which a specification names in lower case.
var objectives = map[string]Objective{
	"mse":           MSE{},
	"bce":           BCE{},
	"elbo":          ELBO{},
	"elbo-gaussian": ELBO{Likelihood: Gaussian},
	"elbo-logistic": ELBO{Likelihood: Logistic},
	"elbo2":         LayeredELBO{},
	"iwae":          IWAE{},
	"tcvae":         TCVAE{},
	"sparse":        Sparse{},
	"contractive":   Contractive{},
	"wae":           WAE{},
	"rae":           RAE{},
	"vq":            VQVAE{},
	"gan":           GAN{},
	"aae":           AAE{},
	"vae-gan":       VAEGAN{},
}

// Objectives returns the names that [ParseObjective] knows, sorted.
func Objectives() []string { return slices.Sorted(maps.Keys(objectives)) }

// ParseObjective returns the objective that a specification describes: a name that
// [Objectives] lists, and, after a colon, settings of its fields in lower case, as in
// "elbo:likelihood=gaussian,sigma=0.2,warmup=5". beta, unless 0, is the default of the field
// Beta where there is one.
func ParseObjective(spec string, beta float64) (Objective, error) {
	name, settings, _ := strings.Cut(spec, ":")
	o, ok := objectives[name]
	if !ok {
		return nil, fmt.Errorf("train: no objective %q; there are %s", name, strings.Join(Objectives(), ", "))
	}
	if v := reflect.ValueOf(o); beta != 0 && v.FieldByName("Beta").IsValid() {
		settings = fmt.Sprintf("beta=%g,%s", beta, settings)
	}
	v, err := configure(o, settings)
	if err != nil {
		return nil, fmt.Errorf("train: objective %q: %w", spec, err)
	}
	o = v.Interface().(Objective)
	return o, o.check()
}

// configure returns a copy of a struct with the settings, "name=value,…", made.
func configure(o any, settings string) (reflect.Value, error) {
	v := reflect.New(reflect.TypeOf(o)).Elem()
	v.Set(reflect.ValueOf(o))
	for _, s := range strings.FieldsFunc(settings, func(r rune) bool { return r == ',' }) {
		if err := set(v, s); err != nil {
			return v, err
		}
	}
	return v, nil
}

// set changes the field of v that "name=value" is about.
func set(v reflect.Value, setting string) error {
	name, text, ok := strings.Cut(setting, "=")
	if !ok {
		return fmt.Errorf("%q: want NAME=VALUE", setting)
	}
	f := v.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
	if !f.IsValid() {
		var names []string
		for i := range v.NumField() {
			names = append(names, strings.ToLower(v.Type().Field(i).Name))
		}
		return fmt.Errorf("no setting %q; there are %s", name, strings.Join(names, ", "))
	}
	if u, ok := f.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch f.Kind() {
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%s=%s: want a number", name, text)
		}
		f.SetFloat(x)
	case reflect.Int:
		x, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s=%s: want a whole number", name, text)
		}
		f.SetInt(int64(x))
	case reflect.Bool:
		x, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s=%s: want true or false", name, text)
		}
		f.SetBool(x)
	default:
		return fmt.Errorf("%s cannot be set", name)
	}
	return nil
}
