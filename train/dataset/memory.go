package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/aekit/aekit/internal/imageio"
)

// memory is a Source of 8-bit images held in memory, at a quarter of the room that
// floating-point numbers would take.
type memory struct {
	info   Info
	n      int
	pix    []uint8 // n images, [Channels][Height][Width] each
	labels []uint8 // nil or n
	digest func() string
}

// newMemory takes ownership of pix and labels. Every label must be below the number of
// classes; labels is nil if there are none.
func newMemory(info Info, pix, labels []uint8) (*memory, error) {
	size := info.Elems()
	if size == 0 || len(pix)%size != 0 {
		return nil, fmt.Errorf("dataset: %d pixels are no multiple of %d", len(pix), size)
	}
	m := &memory{info: info, n: len(pix) / size, pix: pix, labels: labels}
	if labels != nil && len(labels) != m.n {
		return nil, fmt.Errorf("dataset: %d labels for %d images", len(labels), m.n)
	}
	for i, l := range labels {
		if int(l) >= len(info.Classes) {
			return nil, fmt.Errorf("dataset: label %d of image %d, but there are %d classes", l, i, len(info.Classes))
		}
	}
	m.digest = sync.OnceValue(func() string {
		h := sha256.New()
		fmt.Fprintf(h, "aekit images 1\n%d %d %d %d %v\n", m.n, info.Channels, info.Height, info.Width, labels != nil)
		h.Write(m.pix)
		h.Write(m.labels)
		return hex.EncodeToString(h.Sum(nil))
	})
	return m, nil
}

func (m *memory) Info() Info              { return m.info }
func (m *memory) Len() int                { return m.n }
func (m *memory) Digest() (string, error) { return m.digest(), nil }

func (m *memory) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkRead(m.info, m.n, index, dst, labels); err != nil {
		return err
	}
	size := m.info.Elems()
	for k, i := range index {
		src, d := m.pix[i*size:(i+1)*size], dst[k*size:(k+1)*size]
		for j, b := range src {
			d[j] = byteLevels[b]
		}
	}
	for k := range labels {
		labels[k] = -1
		if m.labels != nil {
			labels[k] = int(m.labels[index[k]])
		}
	}
	return nil
}

// reshape returns m with images of another size and number of channels; 0 keeps.
func (m *memory) reshape(channels, height, width int, fit imageio.Fit) (*memory, error) {
	info := m.info
	if channels != 0 {
		info.Channels = channels
	}
	if height != 0 {
		info.Height = height
	}
	if width != 0 {
		info.Width = width
	}
	from, to := m.info.Elems(), info.Elems()
	if info.Channels == m.info.Channels && info.Height == m.info.Height && info.Width == m.info.Width {
		return m, nil
	}
	if m.n > 0 && int64(to) > int64(maxInt)/int64(m.n) {
		return nil, fmt.Errorf("dataset: %d images of %dx%d are too large", m.n, info.Width, info.Height)
	}
	pix := make([]uint8, m.n*to)
	for i := range m.n {
		p := &imageio.Planar{C: m.info.Channels, H: m.info.Height, W: m.info.Width, Pix: m.pix[i*from : (i+1)*from]}
		p, err := convert(p, info, fit)
		if err != nil {
			return nil, err
		}
		copy(pix[i*to:], p.Pix)
	}
	return newMemory(info, pix, m.labels)
}

const maxInt = int(^uint(0) >> 1)

// convert brings an image to the size and channels of info.
func convert(p *imageio.Planar, info Info, fit imageio.Fit) (*imageio.Planar, error) {
	p, err := p.Channels(info.Channels)
	if err != nil {
		return nil, err
	}
	return p.Resize(info.Width, info.Height, fit)
}
