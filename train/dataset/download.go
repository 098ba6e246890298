package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
)

// stallTime is how long a download may deliver nothing.
const stallTime = 60 * time.Second

// newClient has limits on the waiting time but none on the whole download, whose length
// depends on the line.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 10 * time.Second
	t.ResponseHeaderTimeout = 30 * time.Second
	return &http.Client{Transport: t}
}

// download fetches the files of e that dir does not have yet. Each is tried from every
// mirror in turn; the error is that of the last. A file appears in dir only when it is
// complete and verified.
func (e *entry) download(ctx context.Context, dir string, opt Options) error {
	mirrors := e.mirrors
	if m := opt.Mirrors[e.name]; len(m) > 0 {
		mirrors = m
	}
	client := opt.Client
	if client == nil {
		client = newClient()
		defer client.CloseIdleConnections()
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, f := range e.files {
		path := filepath.Join(dir, f.name)
		if st, err := os.Stat(path); err == nil && st.Size() == f.size {
			continue
		}
		err := errors.New("no mirror is known")
		for _, m := range mirrors {
			url := strings.TrimSuffix(m, "/") + "/" + f.name
			if err = fetch(ctx, client, url, path, f, opt.Progress); err == nil || ctx.Err() != nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch downloads one file and verifies its size and SHA-256.
func fetch(ctx context.Context, client *http.Client, url, path string, f remote, progress func(string, int64, int64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "aekit")
	// Without this header a transport asks for gzip and would unpack a .gz file.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	if resp.ContentLength >= 0 && resp.ContentLength != f.size {
		return fmt.Errorf("%s: %d bytes, want %d", url, resp.ContentLength, f.size)
	}
	timer := time.AfterFunc(stallTime, func() {
		cancel(fmt.Errorf("nothing received for %v", stallTime))
	})
	defer timer.Stop()
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		h := sha256.New()
		body := &meter{r: io.LimitReader(resp.Body, f.size+1), timer: timer, name: f.name, total: f.size, report: progress}
		n, err := io.Copy(io.MultiWriter(w, h), body)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("%s: after %d of %d bytes: %w", url, n, f.size, err)
		}
		if n != f.size {
			return fmt.Errorf("%s: %d bytes or more, want %d", url, n, f.size)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != f.sha256 {
			return fmt.Errorf("%s: SHA-256 is %s, want %s", url, got, f.sha256)
		}
		return nil
	})
}

// meter reports how much was read and restarts a timer with every read.
type meter struct {
	r           io.Reader
	timer       *time.Timer
	name        string
	done, total int64
	report      func(string, int64, int64)
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if n > 0 {
		m.timer.Reset(stallTime)
		m.done += int64(n)
		if m.report != nil {
			m.report(m.name, m.done, m.total)
		}
	}
	return n, err
}
