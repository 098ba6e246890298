package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Shells are those that Completion knows.
var Shells = []string{"bash", "zsh", "fish"}

// Verb is a command of a program, with its flags.
type Verb struct {
	Name, Short string
	Flags       *Flags
}

const choices = "choices"

// Choices says which values a flag has; Completion offers them.
func Choices(fs *pflag.FlagSet, flag string, values ...string) {
	f := fs.Lookup(flag)
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[choices] = values
}

// Completion returns a script by which the shell completes the flags of a program, their
// values where they are few, and its verbs. A program without verbs has one of no name.
// An unknown shell is a UsageError.
func Completion(shell, program string, verbs []Verb) (string, error) {
	switch shell {
	case "bash":
		return bash(program, verbs), nil
	case "zsh":
		return "autoload -U +X bashcompinit && bashcompinit\n" + bash(program, verbs), nil
	case "fish":
		return fish(program, verbs), nil
	}
	return "", Usagef("no completion for %q; there is one for %s", shell, strings.Join(Shells, ", "))
}

// each calls f with the flags of a verb.
func (v *Verb) each(f func(*pflag.Flag)) {
	for _, s := range v.Flags.sections {
		s.flags.VisitAll(f)
	}
}

func bash(program string, verbs []Verb) string {
	var b strings.Builder
	fn := "_" + strings.ReplaceAll(program, "-", "_")
	fmt.Fprintf(&b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=\n\tCOMPREPLY=()\n", fn)
	if verbs[0].Name != "" {
		var names []string
		for _, v := range verbs {
			names = append(names, v.Name)
		}
		fmt.Fprintf(&b, "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '%s' -- \"$cur\"))\n\t\treturn\n\tfi\n\tverb=${COMP_WORDS[1]}\n", strings.Join(names, " "))
	}
	b.WriteString("\tcase \"$verb $prev\" in\n")
	for _, v := range verbs {
		v.each(func(f *pflag.Flag) {
			if values := f.Annotations[choices]; values != nil {
				fmt.Fprintf(&b, "\t'%s --%s') COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", v.Name, f.Name, strings.Join(values, " "))
			}
		})
	}
	b.WriteString("\tesac\n\tcase \"$cur\" in\n\t-*) ;;\n\t*) return ;;\n\tesac\n\tcase \"$verb\" in\n")
	for _, v := range verbs {
		var names []string
		v.each(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		fmt.Fprintf(&b, "\t'%s') COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", v.Name, strings.Join(names, " "))
	}
	fmt.Fprintf(&b, "\tesac\n}\ncomplete -o default -F %s %s\n", fn, program)
	return b.String()
}

func fish(program string, verbs []Verb) string {
	quote := func(s string) string {
		return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", `\'`) + "'"
	}
	var b strings.Builder
	for _, v := range verbs {
		when := ""
		if v.Name != "" {
			fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", program, v.Name, quote(v.Short))
			when = " -n " + quote("__fish_seen_subcommand_from "+v.Name)
		}
		v.each(func(f *pflag.Flag) {
			fmt.Fprintf(&b, "complete -c %s%s -l %s", program, when, f.Name)
			if f.Shorthand != "" {
				b.WriteString(" -s " + f.Shorthand)
			}
			switch values := f.Annotations[choices]; {
			case values != nil:
				b.WriteString(" -x -a " + quote(strings.Join(values, " ")))
			case f.Value.Type() != "bool":
				b.WriteString(" -r")
			}
			_, text := pflag.UnquoteUsage(f)
			b.WriteString(" -d " + quote(text) + "\n")
		})
	}
	return b.String()
}
