package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// width is that of a help text, in characters.
const width = 80

// Flags is a set of flags in sections, which its help text shows in the order in which they
// were begun.
type Flags struct {
	// FlagSet has all flags once Parse was called.
	*pflag.FlagSet
	sections []section
}

type section struct {
	title string
	flags *pflag.FlagSet
}

// NewFlags returns an empty set. Parsing prints nothing and returns its errors.
func NewFlags(program string) *Flags { return &Flags{FlagSet: newSet(program)} }

func newSet(name string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.SetOutput(io.Discard)
	return fs
}

// Section returns the section of that title, for flags to be defined in; it begins one if
// there is none. In a flag's text, the first word in backquotes stands for its value.
func (f *Flags) Section(title string) *pflag.FlagSet {
	for _, s := range f.sections {
		if s.title == title {
			return s.flags
		}
	}
	fs := newSet(title)
	f.sections = append(f.sections, section{title, fs})
	return fs
}

// Parse reads a command line, as pflag.FlagSet.Parse does.
func (f *Flags) Parse(args []string) error {
	for _, s := range f.sections {
		f.AddFlagSet(s.flags)
	}
	return f.FlagSet.Parse(args)
}

// Help returns the text on all flags.
func (f *Flags) Help() string {
	var b strings.Builder
	for _, s := range f.sections {
		fmt.Fprintf(&b, "\n%s:\n", s.title)
		const indent = 28
		s.flags.VisitAll(func(fl *pflag.Flag) {
			if fl.Hidden {
				return
			}
			head, text := describe(fl)
			if n := utf8.RuneCountInString(head); n <= indent-2 {
				b.WriteString(head + strings.Repeat(" ", indent-n))
			} else {
				b.WriteString(head + "\n" + strings.Repeat(" ", indent))
			}
			b.WriteString(strings.Join(fill(text, width-indent), "\n"+strings.Repeat(" ", indent)) + "\n")
		})
	}
	return b.String()
}

// describe returns the two columns of a flag's line.
func describe(f *pflag.Flag) (head, text string) {
	value, text := pflag.UnquoteUsage(f)
	if strings.IndexByte(f.Usage, '`') < 0 {
		value = placeholder(f.Value.Type())
	}
	head = "      --" + f.Name
	if f.Shorthand != "" {
		head = "  -" + f.Shorthand + ", --" + f.Name
	}
	if value != "" {
		head += " " + value
	}
	switch f.DefValue {
	case "", "0", "0s", "[]", "false":
		return head, text
	}
	return head, text + " (default " + strings.Trim(f.DefValue, "[]") + ")"
}

// placeholder stands for a value of a type of flag.
func placeholder(kind string) string {
	switch kind {
	case "bool":
		return ""
	case "int", "uint64":
		return "N"
	case "float64":
		return "X"
	case "duration":
		return "TIME"
	case "string":
		return "NAME"
	}
	return "LIST"
}

// fill breaks text into lines of at most n characters where there are spaces.
func fill(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= n:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
