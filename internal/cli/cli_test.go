package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, OK}, {errors.New("disk full"), Failed}, {Usagef("--n %d", 0), Misuse}, {fmt.Errorf("file: %w", Usagef("line 1")), Misuse},
	} {
		if got := Status(c.err); got != c.want {
			t.Errorf("%v: status %d, want %d", c.err, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got, want := OneLine(" a\nb\x1b[31m\u009bc\td é\n"), "a; b?[31m?c?d é"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSize(t *testing.T) {
	if w, h, err := Size("--size", "64X48"); w != 64 || h != 48 || err != nil {
		t.Errorf("64X48 is %d, %d, %v", w, h, err)
	}
	for _, s := range []string{"", "64", "x", "0x1", "1x-1", "1x1x1", "1x99999", "ax1"} {
		if _, _, err := Size("--size", s); Status(err) != Misuse || !strings.Contains(err.Error(), "--size") {
			t.Errorf("%q gives the error %v", s, err)
		}
	}
}

func TestTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer null.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Terminal(null) || Terminal(file) {
		t.Errorf("the null device is a terminal: %v; a file is one: %v", Terminal(null), Terminal(file))
	}
}

func example() *Flags {
	f := NewFlags("tool")
	a := f.Section("First")
	a.StringP("out", "o", "-", "`FILE` to write")
	a.Bool("json", false, "print JSON")
	f.Section("Second").Int("count", 64, "how many")
	f.Section("First").String("kind", "", "what: it's \"a\" or b, and so much text on it that it does not fit in a line of the help")
	Choices(f.Section("First"), "kind", "a", "b")
	return f
}

func TestFlags(t *testing.T) {
	f := example()
	want := `
First:
  -o, --out FILE            FILE to write (default -)
      --json                print JSON
      --kind NAME           what: it's "a" or b, and so much text on it that it
                            does not fit in a line of the help

Second:
      --count N             how many (default 64)
`
	if got := f.Help(); got != want {
		t.Errorf("help:\n%s\nwant:\n%s", got, want)
	}
	if err := f.Parse([]string{"--count", "3", "x", "-o", "y"}); err != nil {
		t.Fatal(err)
	}
	n, _ := f.GetInt("count")
	if out, _ := f.GetString("out"); n != 3 || out != "y" || !slices.Equal(f.Args(), []string{"x"}) || !f.Section("First").Changed("out") {
		t.Errorf("count %d, out %q, arguments %q", n, out, f.Args())
	}
	if err := f.Parse([]string{"--nothing"}); err == nil {
		t.Error("an unknown flag was accepted")
	}
}

func TestCompletion(t *testing.T) {
	verbs := []Verb{{"show", "show it", example()}, {"hide", "hide it", NewFlags("tool")}}
	script, err := Completion("fish", "tool", verbs)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`complete -c tool -n __fish_use_subcommand -a show -d 'show it'`,
		`complete -c tool -n '__fish_seen_subcommand_from show' -l out -s o -r -d 'FILE to write'`,
		`complete -c tool -n '__fish_seen_subcommand_from show' -l json -d 'print JSON'`,
		`complete -c tool -n '__fish_seen_subcommand_from show' -l kind -x -a 'a b' -d 'what: it\'s "a" or b, and so much text on it that it does not fit in a line of the help'`,
	} {
		if !strings.Contains(script, line+"\n") {
			t.Errorf("no line %s in\n%s", line, script)
		}
	}
	if _, err := Completion("tcsh", "tool", verbs); Status(err) != Misuse {
		t.Errorf("tcsh: %v", err)
	}
}

// TestBashCompletes asks the shell itself.
func TestBashCompletes(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	verbs := []Verb{{"show", "show it", example()}, {"hide", "hide it", NewFlags("tool")}}
	for _, c := range []struct {
		program string
		verbs   []Verb
		words   string
		want    string
	}{
		{"tool", verbs, "tool h", "hide"},
		{"tool", verbs, "tool show --co", "--count"},
		{"tool", verbs, "tool hide --co", ""},
		{"tool", verbs, "tool show --kind b", "b"},
		{"tool", verbs, "tool show fi", ""},
		{"one-tool", []Verb{{Flags: example()}}, "one-tool --j", "--json"},
		{"one-tool", []Verb{{Flags: example()}}, "one-tool --kind a", "a"},
	} {
		script, err := Completion("bash", c.program, c.verbs)
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(c.words)
		script += fmt.Sprintf("COMP_WORDS=(%s); COMP_CWORD=%d; _%s; echo \"${COMPREPLY[*]}\"", c.words, len(words)-1, strings.ReplaceAll(c.program, "-", "_"))
		out, err := exec.Command(shell, "-c", script).CombinedOutput()
		if err != nil {
			t.Skipf("bash does not run here: %v: %s", err, out)
		}
		if got := strings.TrimSpace(string(out)); got != c.want {
			t.Errorf("%q completes to %q, want %q", c.words, got, c.want)
		}
	}
}
