package dataset

import (
	"bufio"
	"compress/gzip"
	"io"
)

// A gzip stream may give bombFree bytes, and beyond them bombRatio times as many as it has.
// Images that deserve the name do not shrink further; zeros do, by a factor of 1,000.
const (
	bombFree  = 64 << 20
	bombRatio = 200
)

// maybeGunzip decompresses r if it begins as a gzip file does.
func maybeGunzip(r io.Reader) (io.Reader, error) {
	in := &counter{r: r}
	b := bufio.NewReaderSize(in, 1<<16)
	if head, err := b.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		return gunzip(in, b)
	}
	return b, nil
}

// gunzip decompresses b, which reads from in.
func gunzip(in *counter, b *bufio.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, formatErrorf("gzip: %v", readError(err))
	}
	return &unzipped{z: z, in: in}, nil
}

// counter counts the bytes that are read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// unzipped ends a stream that gives far more than it has.
type unzipped struct {
	z   *gzip.Reader
	in  *counter
	out int64
}

func (u *unzipped) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	if u.out += int64(n); u.out > bombFree && u.out/bombRatio > u.in.n {
		return 0, formatErrorf("gzip: %d bytes of file became more than %d: not image data", u.in.n, u.out)
	}
	return n, err
}
