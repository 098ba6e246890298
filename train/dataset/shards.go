package dataset

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"sync"

	"github.com/aekit/aekit/internal/imagefile"
	"github.com/aekit/aekit/internal/imageio"
	"github.com/aekit/aekit/internal/rng"
)

// shards is a Source of images in tar files. Either all pixels are in pix, or the images of
// a file come in chunks of so many, which are read in order and of which the last used are
// kept.
type shards struct {
	info      Info
	fit       imageio.Fit
	maxPixels int64
	files     []string
	start     []int   // number of the first image of each file
	number    [][]int // of each image of a file, among all that the file has, bad ones too
	n         int
	labels    []int // nil without classes
	digest    string
	pix       [][]uint8

	chunk   int // images
	mu      sync.Mutex
	loaded  map[chunkID]*list.Element // of *chunk
	recent  list.List                 // the last used at the front
	cursors []cursor
}

// The chunks that are kept: those that are being shuffled together, and as many behind and
// before them, for readers that are ahead of others.
const (
	groupChunks = 8
	keptChunks  = 3 * groupChunks
)

type chunkID struct{ file, chunk int }

type chunk struct {
	id  chunkID
	pix [][]uint8
}

// cursor is the place to which a file has been read. at counts its good images.
type cursor struct {
	mu sync.Mutex
	r  *tarReader
	at int
}

// buffer prepares reading in chunks that together take about limit bytes.
func (s *shards) buffer(limit int64) {
	s.chunk = int(max(1, min(limit/keptChunks/int64(s.info.Elems()), int64(s.n))))
	s.loaded = map[chunkID]*list.Element{}
	s.cursors = make([]cursor, len(s.files))
}

func decodeBytes(b []byte, maxPixels int64) (image.Image, error) {
	return imagefile.Decode(bytes.NewReader(b), maxPixels)
}

// decode turns an image file into pixels of the wanted size.
func (s *shards) decode(b []byte) ([]uint8, error) {
	img, err := decodeBytes(b, s.maxPixels)
	if err != nil {
		return nil, err
	}
	p, err := imageio.FromImage(img, s.info.Channels)
	if err == nil {
		p, err = convert(p, s.info, s.fit)
	}
	if err != nil {
		return nil, err
	}
	return p.Pix, nil
}

func (s *shards) Info() Info              { return s.info }
func (s *shards) Len() int                { return s.n }
func (s *shards) Digest() (string, error) { return s.digest, nil }

// order returns all images in an order in which they can be read file by file: the files
// are shuffled; the next chunks of several files, together groupChunks, are shuffled among
// themselves, then the following ones.
func (s *shards) order(r rng.Stream) []int {
	if s.pix != nil {
		return r.Perm(s.n)
	}
	waiting := r.Sub(0).Perm(len(s.files))
	type lane struct{ file, next int }
	var lanes []lane
	out := make([]int, 0, s.n)
	for group := uint64(1); ; group++ {
		var images []int
		for taken := 0; taken < groupChunks; {
			for len(lanes) < groupChunks && len(waiting) > 0 {
				lanes, waiting = append(lanes, lane{file: waiting[0]}), waiting[1:]
			}
			if len(lanes) == 0 {
				break
			}
			// Every file in turn: the one that has waited longest gives a chunk.
			l := lanes[0]
			lanes = lanes[1:]
			total := len(s.number[l.file])
			hi := min(l.next+s.chunk, total)
			for i := l.next; i < hi; i++ {
				images = append(images, s.start[l.file]+i)
			}
			if hi > l.next {
				taken++
			}
			if hi < total {
				lanes = append(lanes, lane{l.file, hi})
			}
		}
		if len(images) == 0 {
			return out
		}
		for _, k := range r.Sub(group).Perm(len(images)) {
			out = append(out, images[k])
		}
	}
}

// An orderer has an opinion on the order in which a shuffled epoch reads it.
type orderer interface{ order(r rng.Stream) []int }

// orderOf returns a random order of the images of src that is a function of r.
func orderOf(src Source, r rng.Stream) []int {
	if o, ok := src.(orderer); ok {
		return o.order(r)
	}
	return r.Perm(src.Len())
}

// order implements orderer with the order of the set that s is a part of.
func (s *subset) order(r rng.Stream) []int {
	o, ok := s.src.(orderer)
	if !ok {
		return r.Perm(len(s.index))
	}
	if sh, ok := s.src.(*shards); ok && sh.pix != nil {
		return r.Perm(len(s.index))
	}
	places := map[int][]int{}
	for k, i := range s.index {
		places[i] = append(places[i], k)
	}
	out := make([]int, 0, len(s.index))
	for _, i := range o.order(r) {
		out = append(out, places[i]...)
	}
	return out
}

// locate returns the file of image i and its number there.
func (s *shards) locate(i int) (file, k int) {
	lo, hi := 0, len(s.start)
	for hi-lo > 1 {
		if m := (lo + hi) / 2; s.start[m] <= i {
			lo = m
		} else {
			hi = m
		}
	}
	return lo, i - s.start[lo]
}

func (s *shards) Read(ctx context.Context, index []int, dst []float32, labels []int) error {
	if err := checkRead(s.info, s.n, index, dst, labels); err != nil {
		return err
	}
	size := s.info.Elems()
	for k, i := range index {
		if err := ctx.Err(); err != nil {
			return err
		}
		var pix []uint8
		if s.pix != nil {
			pix = s.pix[i]
		} else {
			var err error
			if pix, err = s.image(ctx, i); err != nil {
				return err
			}
		}
		for j, b := range pix {
			dst[k*size+j] = byteLevels[b]
		}
		if labels != nil {
			labels[k] = -1
			if s.labels != nil {
				labels[k] = s.labels[i]
			}
		}
	}
	return nil
}

// image returns the pixels of an image, from a chunk that is kept or is read now.
func (s *shards) image(ctx context.Context, i int) ([]uint8, error) {
	file, k := s.locate(i)
	id := chunkID{file, k / s.chunk}
	if c := s.kept(id); c != nil {
		return c.pix[k%s.chunk], nil
	}
	cur := &s.cursors[file]
	cur.mu.Lock()
	defer cur.mu.Unlock()
	// Another reader may have read it meanwhile.
	if c := s.kept(id); c != nil {
		return c.pix[k%s.chunk], nil
	}
	c, err := s.load(ctx, cur, id)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", s.files[file], err)
	}
	return c.pix[k%s.chunk], nil
}

func (s *shards) kept(id chunkID) *chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.loaded[id]
	if e == nil {
		return nil
	}
	s.recent.MoveToFront(e)
	return e.Value.(*chunk)
}

// load reads on in a file until it has the chunk, from the beginning if it has passed. It
// keeps chunks that it comes by near the wanted one: a reader that is behind needs them.
func (s *shards) load(ctx context.Context, cur *cursor, id chunkID) (*chunk, error) {
	first := id.chunk * s.chunk
	if cur.r == nil || cur.at > first {
		if err := cur.open(s.files[id.file]); err != nil {
			return nil, err
		}
	}
	for {
		if d := first - cur.at; d >= groupChunks*s.chunk {
			// Too far ahead to keep what lies between.
			if err := cur.skip(s.number[id.file], first); err != nil {
				cur.close()
				return nil, err
			}
		}
		at := cur.at / s.chunk
		c, err := s.readChunk(ctx, cur, chunkID{id.file, at})
		if err != nil {
			cur.close()
			return nil, err
		}
		s.keep(c)
		if cur.at >= len(s.number[id.file]) {
			cur.close()
		}
		if at == id.chunk {
			return c, nil
		}
	}
}

var errChanged = errors.New("the file changed since it was opened")

// readChunk reads the chunk that cur stands at. Decoding runs beside reading.
func (s *shards) readChunk(ctx context.Context, cur *cursor, id chunkID) (*chunk, error) {
	numbers := s.number[id.file]
	n := min(s.chunk, len(numbers)-cur.at)
	c := &chunk{id: id, pix: make([][]uint8, n)}
	errs := make([]error, n)
	slots := make(chan struct{}, folderWorkers)
	var wg sync.WaitGroup
	defer wg.Wait()
	for k := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := cur.read(numbers[cur.at])
		if err != nil {
			return nil, err
		}
		slots <- struct{}{}
		wg.Go(func() {
			c.pix[k], errs[k] = s.decode(b)
			<-slots
		})
	}
	wg.Wait()
	for k, err := range errs {
		if err != nil || len(c.pix[k]) != s.info.Elems() {
			return nil, errChanged
		}
	}
	return c, nil
}

// keep remembers a chunk and forgets the one that was not used for the longest time.
func (s *shards) keep(c *chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded[c.id] != nil {
		return
	}
	s.loaded[c.id] = s.recent.PushFront(c)
	for s.recent.Len() > keptChunks {
		e := s.recent.Back()
		delete(s.loaded, e.Value.(*chunk).id)
		s.recent.Remove(e)
	}
}

func (c *cursor) open(file string) error {
	c.close()
	r, err := openTarReader(file)
	if err != nil {
		return err
	}
	c.r, c.at = r, 0
	return nil
}

func (c *cursor) close() {
	if c.r != nil {
		c.r.Close()
		c.r = nil
	}
}

// skip goes on to the good image at, without reading those between.
func (c *cursor) skip(numbers []int, at int) error {
	for c.r.next < numbers[at] {
		if _, _, err := c.r.advance(); err != nil {
			return changed(err)
		}
	}
	c.at = at
	return nil
}

// read returns the file of the next good image, which is the one of that number.
func (c *cursor) read(number int) ([]byte, error) {
	var size int64
	var err error
	for c.r.next <= number {
		if _, size, err = c.r.advance(); err != nil {
			return nil, changed(err)
		}
	}
	c.at++
	b, err := c.r.image(size)
	if err != nil {
		return nil, changed(err)
	}
	return b, nil
}

func changed(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errChanged
	}
	return err
}
