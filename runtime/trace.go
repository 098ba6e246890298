package runtime

import (
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// WriteTrace writes the profile in the trace event format that chrome://tracing and
// Perfetto read: one run, in which each node takes its mean time.
func (p *Profile) WriteTrace(w io.Writer) error {
	b := []byte(`{"displayTimeUnit":"ns","traceEvents":[`)
	at := 0.0 // µs
	for i, n := range p.Nodes {
		us := float64(n.Time) / float64(max(1, p.Runs)) / float64(time.Microsecond)
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(append(b, `{"name":`...), n.OpType)
		b = strconv.AppendFloat(append(b, `,"cat":"node","ph":"X","ts":`...), at, 'f', -1, 64)
		b = strconv.AppendFloat(append(b, `,"dur":`...), us, 'f', -1, 64)
		b = appendJSON(append(b, `,"pid":1,"tid":1,"args":{"node":`...), n.Name)
		b = append(b, `,"outputs":[`...)
		for k, o := range n.Outputs {
			if k > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, o)
		}
		b = append(b, ']')
		if n.MACs > 0 {
			b = strconv.AppendInt(append(b, `,"macs":`...), n.MACs, 10)
			if us > 0 {
				b = strconv.AppendFloat(append(b, `,"gflops":`...), 2*float64(n.MACs)/us/1e3, 'f', -1, 64)
			}
		}
		b = append(b, "}}"...)
		at += us
	}
	_, err := w.Write(append(b, "]}\n"...))
	return err
}

// appendJSON appends s as a string of JSON. What is not UTF-8 becomes U+FFFD.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
