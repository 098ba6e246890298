package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/aekit/aekit/internal/atomicfile"
)

// notInConfig are flags that say what the program is to do this time, not what the model is:
// a configuration file may not set them, and the one that is written does not.
var notInConfig = []string{"config", "help", "version", "list", "completion", "resume"}

// notWritten are flags whose files a second run with the same configuration should not
// overwrite, and how this run talks to the user: what is written leaves them out.
var notWritten = []string{"checkpoint", "metrics", "tensorboard", "plot", "save-weights", "testdata", "report", "json", "quiet"}

// maxConfig bounds the size of a configuration file.
const maxConfig = 1 << 20

// readConfig sets the flags that a YAML file gives: a mapping from their names, without the
// dashes, to values; a list stands for values separated by commas. Flags of the command line
// stay as they are.
func readConfig(fs *pflag.FlagSet, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return err
	}
	if len(text) > maxConfig {
		return usagef("%s: more than %d bytes are too many for a configuration", path, maxConfig)
	}
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err == io.EOF {
		return nil
	} else if err != nil {
		return usagef("%s: %v", path, err)
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		return usagef("%s: want one document", path)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil
	}
	if root.Kind != yaml.MappingNode {
		return usagef("%s: line %d: want a mapping from flags to values", path, root.Line)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		name := key.Value
		f := fs.Lookup(name)
		switch {
		case key.Kind != yaml.ScalarNode || f == nil:
			return usagef("%s: line %d: no flag %q; `aeexport --help` lists them", path, key.Line, name)
		case slices.Contains(notInConfig, name):
			return usagef("%s: line %d: --%s belongs on the command line", path, key.Line, name)
		case seen[name]:
			return usagef("%s: line %d: %q occurs twice", path, key.Line, name)
		}
		seen[name] = true
		if f.Changed {
			continue
		}
		if err := setFlag(fs, f, value); err != nil {
			return usagef("%s: line %d: %.300s", path, value.Line, err.Error())
		}
	}
	return nil
}

func setFlag(fs *pflag.FlagSet, f *pflag.Flag, v *yaml.Node) error {
	for v.Kind == yaml.AliasNode {
		v = v.Alias
	}
	var items []string
	switch v.Kind {
	case yaml.ScalarNode:
		if v.Tag == "!!null" {
			return fmt.Errorf("%q has no value", f.Name)
		}
		return fs.Set(f.Name, v.Value)
	case yaml.SequenceNode:
		for _, c := range v.Content {
			if c.Kind != yaml.ScalarNode {
				return fmt.Errorf("%q: want a list of plain values", f.Name)
			}
			items = append(items, c.Value)
		}
	default:
		return fmt.Errorf("%q: want a value or a list", f.Name)
	}
	if _, ok := f.Value.(pflag.SliceValue); ok {
		// Its text is a line of CSV.
		var b strings.Builder
		w := csv.NewWriter(&b)
		if err := w.Write(items); err != nil {
			return err
		}
		w.Flush()
		return fs.Set(f.Name, strings.TrimSuffix(b.String(), "\n"))
	}
	return fs.Set(f.Name, strings.Join(items, ","))
}

// configOf returns, as YAML, the flags that differ from their defaults, and those of settled,
// by name, which the architecture's recipe decided.
func configOf(fs *pflag.FlagSet, settled map[string]string) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	fs.VisitAll(func(f *pflag.Flag) {
		text, ok := settled[f.Name]
		if !ok && !f.Changed || slices.Contains(notInConfig, f.Name) || slices.Contains(notWritten, f.Name) {
			return
		}
		value := &yaml.Node{Kind: yaml.ScalarNode}
		if s, isSlice := f.Value.(pflag.SliceValue); isSlice {
			value = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			for _, item := range s.GetSlice() {
				value.Content = append(value.Content, textNode(item))
			}
		} else if ok {
			value = scalarNode(f, text)
		} else {
			value = scalarNode(f, f.Value.String())
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Name}, value)
	})
	var b bytes.Buffer
	b.WriteString("# " + versionLine() + "\n# aeexport --config THIS MODEL.onnx\n")
	if len(root.Content) == 0 {
		return b.Bytes(), nil
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// scalarNode is a number or truth value where the flag has one, else text.
func scalarNode(f *pflag.Flag, s string) *yaml.Node {
	switch f.Value.Type() {
	case "string", "duration":
		return textNode(s)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: s}
}

// textNode is a string, quoted only if it would be read as something else.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// configText is the configuration with which the model can be made again.
func (j *job) configText() ([]byte, error) {
	settled := map[string]string{}
	if c := j.used; c != nil {
		if j.quant.from == "" {
			settled["arch"] = j.options.preset
		}
		settled["epochs"] = strconv.Itoa(c.Epochs)
		settled["batch"] = strconv.Itoa(c.Batch)
		settled["lr"] = strconv.FormatFloat(c.LR, 'g', -1, 64)
		settled["seed"] = strconv.FormatUint(c.Seed, 10)
		settled["data"] = j.options.data
	}
	return configOf(j.flags.FlagSet, settled)
}

func (j *job) writeConfig(path string) error {
	b, err := j.configText()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
