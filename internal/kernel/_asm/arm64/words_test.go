package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
)

const packageDir = "../.."

// TestCommitted checks that the committed assembly is what the generator writes.
func TestCommitted(t *testing.T) {
	for _, o := range outputs {
		f := newFile()
		o.emit(f)
		got, err := os.ReadFile(filepath.Join(packageDir, o.name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != f.String() {
			t.Errorf("%s differs from the generator's output; run go generate ./...", o.name)
		}
	}
}

type word struct {
	file    string
	line    int
	code    uint32
	comment string
}

var wordLine = regexp.MustCompile(`^\tWORD \$0x([0-9a-f]{8}) // (.+)$`)

// words returns the encoded instructions of all assembly files of the package for arm64, generated or not.
func words(t *testing.T) []word {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(packageDir, "*_arm64.s"))
	if err != nil || len(files) < len(outputs) {
		t.Fatalf("found assembly files %q, %v", files, err)
	}
	var all []word
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range strings.Split(string(data), "\n") {
			if !strings.Contains(text, "WORD") {
				continue
			}
			m := wordLine.FindStringSubmatch(text)
			if m == nil {
				t.Errorf("%s:%d: a word without its instruction as comment: %s", name, i+1, text)
				continue
			}
			code, err := strconv.ParseUint(m[1], 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, word{filepath.Base(name), i + 1, uint32(code), m[2]})
		}
	}
	return all
}

// TestWordsDecode compares every encoded instruction with its comment through x/arch, except those of extensions that
// x/arch does not know.
func TestWordsDecode(t *testing.T) {
	skip := map[string]bool{"sdot": true, "usmmla": true}
	for _, w := range words(t) {
		mnemonic, _, _ := strings.Cut(w.comment, " ")
		inst, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, w.code))
		if err != nil {
			if !skip[mnemonic] {
				t.Errorf("%s:%d: x/arch cannot decode %#08x, %s", w.file, w.line, w.code, w.comment)
			}
			continue
		}
		if got := normalise(arm64asm.GNUSyntax(inst)); got != normalise(w.comment) {
			t.Errorf("%s:%d: %#08x is %q, the comment says %q", w.file, w.line, w.code, got, w.comment)
		}
	}
}

// TestWordsObjdump does the same for all instructions with GNU objdump, where that is installed.
func TestWordsObjdump(t *testing.T) {
	objdump := ""
	for _, name := range []string{"aarch64-linux-gnu-objdump", "objdump"} {
		if out, err := exec.Command(name, "-i").Output(); err == nil && bytes.Contains(out, []byte("aarch64")) {
			objdump = name
			break
		}
	}
	if objdump == "" {
		t.Skip("no objdump for aarch64: install binutils-aarch64-linux-gnu")
	}
	all := words(t)
	var code []byte
	for _, w := range all {
		code = binary.LittleEndian.AppendUint32(code, w.code)
	}
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	decoded := regexp.MustCompile(`(?m)^ *[0-9a-f]+:\t[0-9a-f]{8} \t(.+)$`).FindAllSubmatch(out, -1)
	if len(decoded) != len(all) {
		t.Fatalf("objdump decoded %d of %d words", len(decoded), len(all))
	}
	for i, w := range all {
		if got := normalise(string(decoded[i][1])); got != normalise(w.comment) {
			t.Errorf("%s:%d: %#08x is %q, the comment says %q", w.file, w.line, w.code, got, w.comment)
		}
	}
}

var spaces = regexp.MustCompile(`\s+`)

// normalise makes the texts of the disassemblers comparable: their aliases, hexadecimal immediates and spacing differ.
func normalise(s string) string {
	s, _, _ = strings.Cut(s, "//")
	s = strings.TrimSuffix(spaces.ReplaceAllString(strings.TrimSpace(s), " "), ".0")
	s = regexp.MustCompile(`#0x[0-9a-f]+`).ReplaceAllStringFunc(s, func(h string) string {
		n, err := strconv.ParseUint(h[3:], 16, 32)
		if err != nil {
			return h
		}
		return "#" + strconv.FormatUint(n, 10)
	})
	if m := regexp.MustCompile(`^([us])shll(2?) (.*), #0$`).FindStringSubmatch(s); m != nil {
		return m[1] + "xtl" + m[2] + " " + m[3]
	}
	if m := regexp.MustCompile(`^mov (v\d+\.16b), (v\d+\.16b)$`).FindStringSubmatch(s); m != nil {
		return "orr " + m[1] + ", " + m[2] + ", " + m[2]
	}
	if m := regexp.MustCompile(`^mov (v\d+\.4s), (v\d+\.s\[\d\])$`).FindStringSubmatch(s); m != nil {
		return "dup " + m[1] + ", " + m[2]
	}
	return s
}

func TestEncodeRejects(t *testing.T) {
	for _, text := range []string{
		"fadd v0.4s, v1.4s, v32.4s", "fmla v0.4s, v1.4s, v2.s[4]", "shl v0.4s, v1.4s, #32", "sshr v0.4s, v1.4s, #0",
		"fadd v0.2d, v1.2d, v2.2d", "frob v0.4s, v1.4s", "dup v0.4s, v1.s[4]", "ushr v0.4s, v1.4s, #1", "",
	} {
		if w, err := encode(text); err == nil {
			t.Errorf("encode(%q) = %#08x", text, w)
		}
	}
}
