package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aekit/aekit/internal/meta"
	"github.com/aekit/aekit/internal/onnxcases"
	"github.com/aekit/aekit/onnx"
	"github.com/aekit/aekit/tensor"
)

func of[T tensor.Element](v []T, shape ...int) *tensor.Tensor {
	return tensor.Must(tensor.Of(v, shape...))
}

// testModel is an autoencoder of flat 4×4 images: z is the mean of each row, and decoding
// paints the rows.
func testModel(t *testing.T, described bool) *onnx.Model {
	t.Helper()
	enc, dec := make([]float32, 16*4), make([]float32, 4*16)
	for i := range 16 {
		enc[i*4+i/4] = 0.25
		dec[i/4*16+i] = 1
	}
	batch := onnx.NamedDim("batch")
	b := onnx.NewBuilder(17)
	x := b.Input("image", tensor.Float32, batch, onnx.FixedDim(16))
	b.Op("MatMul", "z", []string{x, b.Initializer("enc", of(enc, 16, 4))})
	b.Value("z", tensor.Float32, batch, onnx.FixedDim(4))
	b.Op("MatMul", "reconstruction", []string{"z", b.Initializer("dec", of(dec, 4, 16))})
	b.Output("reconstruction", tensor.Float32, batch, onnx.FixedDim(16))
	if described {
		props, err := meta.Encode(&meta.Model{
			Kind:    meta.KindAE,
			Values:  meta.Values{Image: "image", Z: "z", Reconstruction: "reconstruction"},
			Image:   meta.Image{Width: 4, Height: 4, Channels: 1, Layout: meta.LayoutFlat},
			Prior:   []meta.Stage{{Value: "z", Distribution: meta.DistGaussian, DType: "float32", Shape: []int{4}, Mean: []float32{0.5, 0.5, 0.5, 0.5}, Chol: []float32{0.1, 0.1, 0.1, 0.1}}},
			Anomaly: &meta.Anomaly{Score: "mse", Threshold: 0.01, Quantile: 0.99},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range props {
			b.Metadata(p.Key, p.Value)
		}
	}
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// workspace is a folder with a model, the same without metadata, and two images.
func workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, described := range map[string]bool{"model.onnx": true, "plain.onnx": false} {
		if err := onnx.WriteFile(filepath.Join(dir, name), testModel(t, described)); err != nil {
			t.Fatal(err)
		}
	}
	rows := []uint8{0, 0, 0, 0, 51, 51, 51, 51, 102, 102, 102, 102, 255, 255, 255, 255}
	stripes := []uint8{0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255}
	for name, pix := range map[string][]uint8{"rows.png": rows, "stripes.png": stripes} {
		var buf bytes.Buffer
		if err := png.Encode(&buf, &image.Gray{Pix: pix, Stride: 4, Rect: image.Rect(0, 0, 4, 4)}); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), buf.Bytes())
	}
	return dir
}

func writeFile(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// aerun runs the program in a folder: file names among args are relative to it.
func aerun(t *testing.T, dir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return aerunIn(t, dir, "", args...)
}

func aerunIn(t *testing.T, dir, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// want runs the program and demands success with nothing on standard error.
func want(t *testing.T, dir string, args ...string) string {
	t.Helper()
	status, out, errs := aerun(t, dir, args...)
	if status != 0 || errs != "" {
		t.Fatalf("aerun %q: status %d, %s", args, status, errs)
	}
	return out
}

func decodePNG(t *testing.T, b []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func readPNG(t *testing.T, name string) image.Image {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return decodePNG(t, b)
}

func TestInfo(t *testing.T) {
	dir := workspace(t)
	var inf infoJSON
	if err := json.Unmarshal([]byte(want(t, dir, "info", "--json", "--nodes", "--batch", "3", "model.onnx")), &inf); err != nil {
		t.Fatal(err)
	}
	if inf.Nodes != 2 || inf.Operators["MatMul"] != 2 || inf.Parameters != 128 || inf.Weights != 512 || inf.Backend != "native" || len(inf.Graph) != 2 {
		t.Errorf("info: %+v", inf)
	}
	if inf.Cost == nil || inf.Cost.MACs != 3*128 || inf.Cost.Batch != 3 {
		t.Errorf("cost: %+v, want 384 multiply-adds at batch 3", inf.Cost)
	}
	if inf.Roles == nil || inf.Roles.Latent != "z" || inf.Roles.Width != 4 || inf.Roles.Threshold != 0.01 {
		t.Errorf("roles: %+v", inf.Roles)
	}
	text := want(t, dir, "info", "--nodes", "model.onnx")
	for _, s := range []string{`input        "image" float32[batch 16]`, "2: MatMul 2", "128 in 512 bytes", "128 multiply-adds", "kind         ae", "node         z (MatMul): image, enc -> z", "aekit.prior"} {
		if !strings.Contains(text, s) {
			t.Errorf("info prints no %q:\n%s", s, text)
		}
	}
	if text := want(t, dir, "info", "plain.onnx"); !strings.Contains(text, "concluded from the graph") {
		t.Errorf("info of a model without metadata:\n%s", text)
	}
}

func TestEncodeAndDecode(t *testing.T) {
	dir := workspace(t)
	text := want(t, dir, "encode", "model.onnx", "rows.png", "stripes.png")
	wantText := `{"file":"rows.png","z":[0,0.2,0.4,1]}` + "\n" + `{"file":"stripes.png","z":[0.5,0.5,0.5,0.5]}` + "\n"
	if text != wantText {
		t.Errorf("encode prints %s, want %s", text, wantText)
	}
	if text := want(t, dir, "encode", "--latent", "z", "plain.onnx", "."); text != wantText {
		t.Errorf("encode with flags, of a folder, prints %s", strings.ReplaceAll(text, `"./`, `"`))
	}
	for _, name := range []string{"z.jsonl", "z.npy", "z.safetensors"} {
		if out := want(t, dir, "encode", "--batch", "1", "-o", name, "model.onnx", "rows.png", "stripes.png"); out != "" {
			t.Errorf("encode -o %s prints %q", name, out)
		}
		want(t, dir, "decode", "-o", "back.png", "--pad", "0", "--columns", "2", "model.onnx", name)
		img := readPNG(t, filepath.Join(dir, "back.png")).(*image.Gray)
		if img.Rect.Dx() != 8 || img.Rect.Dy() != 4 {
			t.Fatalf("%s decodes to an image of %v", name, img.Rect)
		}
		for y, v := range []uint8{0, 51, 102, 255} {
			if img.GrayAt(0, y).Y != v || img.GrayAt(3, y).Y != v || img.GrayAt(4, y).Y != 128 {
				t.Errorf("%s: row %d is %v", name, y, img.Pix[y*8:][:8])
			}
		}
	}
	status, out, errs := aerunIn(t, dir, "[0,0,0,1]\n{\"z\":[1,1,1,1]}", "decode", "--pad", "0", "model.onnx")
	if status != 0 {
		t.Fatalf("decode from standard input: %s", errs)
	}
	if img := decodePNG(t, []byte(out)); img.Bounds() != image.Rect(0, 0, 8, 4) {
		t.Errorf("decode from standard input: %v", img.Bounds())
	}
}

func TestGenerate(t *testing.T) {
	dir := workspace(t)
	want(t, dir, "generate", "-n", "6", "--columns", "3", "--pad", "1", "--zoom", "2", "-o", "g.png", "model.onnx")
	if b := readPNG(t, filepath.Join(dir, "g.png")).Bounds(); b != image.Rect(0, 0, 28, 19) {
		t.Errorf("sheet of %v", b)
	}
	first, err := os.ReadFile(filepath.Join(dir, "g.png"))
	if err != nil {
		t.Fatal(err)
	}
	same := want(t, dir, "generate", "-n", "6", "--columns", "3", "--pad", "1", "--zoom", "2", "--seed", "1", "--batch", "2", "--threads", "1", "model.onnx")
	if same != string(first) {
		t.Error("the same seed gives another picture with another batch size")
	}
	if other := want(t, dir, "generate", "-n", "6", "--columns", "3", "--pad", "1", "--zoom", "2", "--seed", "2", "model.onnx"); other == string(first) {
		t.Error("another seed gives the same picture")
	}
	want(t, dir, "generate", "-n", "3", "-o", "many/", "model.onnx")
	for _, name := range []string{"0000.png", "0001.png", "0002.png"} {
		if b := readPNG(t, filepath.Join(dir, "many", name)).Bounds(); b != image.Rect(0, 0, 4, 4) {
			t.Errorf("%s: %v", name, b)
		}
	}
}

func TestEmbeddedModel(t *testing.T) {
	dir := t.TempDir()
	want(t, dir, "generate", "-n", "2", "--pad", "0", "-o", "g.png")
	if b := readPNG(t, filepath.Join(dir, "g.png")).Bounds(); b != image.Rect(0, 0, 56, 28) {
		t.Errorf("two images of the built-in model make a sheet of %v", b)
	}
}

func TestReconstructAndScore(t *testing.T) {
	dir := workspace(t)
	text := want(t, dir, "reconstruct", "--json", "-o", "pairs.png", "--pad", "0", "model.onnx", "rows.png", "stripes.png")
	var lines []reconstructionLine
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		var line reconstructionLine
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatalf("%v in %q", err, l)
		}
		lines = append(lines, line)
	}
	if len(lines) != 2 || *lines[0].MSE > 1e-12 || *lines[0].SSIM < 0.999 || *lines[1].MSE != 0.25 || *lines[1].PSNR < 6.02 || *lines[1].PSNR > 6.03 {
		t.Errorf("reconstruct --json prints %s", text)
	}
	if b := readPNG(t, filepath.Join(dir, "pairs.png")).Bounds(); b != image.Rect(0, 0, 16, 4) {
		t.Errorf("pairs: %v", b)
	}
	text = want(t, dir, "reconstruct", "model.onnx", "rows.png", "stripes.png")
	if !strings.Contains(text, "stripes.png: mse 0.25  psnr 6.02 dB") || !strings.Contains(text, "mean of 2: mse 0.125") {
		t.Errorf("reconstruct prints %s", text)
	}
	text = want(t, dir, "score", "model.onnx", "rows.png", "stripes.png")
	if !strings.Contains(text, "  usual\n") || !strings.HasSuffix(text, "stripes.png: mse 0.25  unusual\n") {
		t.Errorf("score prints %s", text)
	}
	if text = want(t, dir, "score", "--threshold", "0.3", "model.onnx", "stripes.png"); text != "stripes.png: mse 0.25  usual\n" {
		t.Errorf("score --threshold 0.3 prints %s", text)
	}
	if text = want(t, dir, "score", "--json", "model.onnx", "stripes.png"); text != `{"file":"stripes.png","mse":0.25,"unusual":true}`+"\n" {
		t.Errorf("score --json prints %s", text)
	}
}

func TestInterpolate(t *testing.T) {
	dir := workspace(t)
	want(t, dir, "interpolate", "-n", "5", "--pad", "0", "-o", "strip.png", "model.onnx", "rows.png", "stripes.png")
	img := readPNG(t, filepath.Join(dir, "strip.png")).(*image.Gray)
	if img.Rect != image.Rect(0, 0, 20, 4) || img.GrayAt(0, 3).Y != 255 || img.GrayAt(19, 3).Y != 128 || img.GrayAt(8, 3).Y != 191 {
		t.Errorf("strip %v: %v", img.Rect, img.Pix[60:])
	}
	want(t, dir, "interpolate", "-n", "5", "--slerp", "--zoom", "3", "-o", "way.gif", "model.onnx", "rows.png", "stripes.png")
	f, err := os.Open(filepath.Join(dir, "way.gif"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g, err := gif.DecodeAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Image) != 8 || g.Image[0].Rect != image.Rect(0, 0, 12, 12) || g.LoopCount != 0 {
		t.Errorf("animation: %d frames of %v, loop %d", len(g.Image), g.Image[0].Rect, g.LoopCount)
	}
}

func TestVerify(t *testing.T) {
	dir := workspace(t)
	x := make([]float32, 16)
	x[0] = 1
	y := make([]float32, 16)
	for i := range 4 {
		y[i] = 0.25
	}
	for _, name := range []string{"good", "bad", "shape"} {
		d := filepath.Join(dir, "cases", name)
		if err := os.MkdirAll(d, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := onnx.WriteFile(filepath.Join(d, "model.onnx"), testModel(t, true)); err != nil {
			t.Fatal(err)
		}
		out := of(append([]float32{}, y...), 1, 16)
		switch name {
		case "bad":
			out.Float32s()[0] = 0.5
		case "shape":
			out = of(append([]float32{}, y...), 16)
		}
		if err := onnxcases.WriteSet(d, 0, []*onnx.Tensor{onnx.NewTensor("image", of(x, 1, 16))}, []*onnx.Tensor{onnx.NewTensor("reconstruction", out)}); err != nil {
			t.Fatal(err)
		}
	}
	if out := want(t, dir, "verify", "cases/good"); out != "ok   good: max abs 0, max rel 0\n" {
		t.Errorf("verify of a good case prints %q", out)
	}
	status, out, errs := aerun(t, dir, "verify", "cases")
	lines := strings.Split(out, "\n")
	if status != 1 || errs != "" || len(lines) != 5 ||
		lines[0] != `FAIL bad: max abs 0.25, max rel 0.5: test_data_set_0: output "reconstruction": 1 of 16 elements differ, the first at [0 0]: 0.25, want 0.5` ||
		!strings.HasPrefix(lines[2], "FAIL shape: max abs -, max rel -: ") || lines[3] != "1 of 3 cases pass" {
		t.Errorf("verify: status %d, %q, %q", status, out, errs)
	}
	if out := want(t, dir, "verify", "--rtol", "0", "--atol", "0.25", "cases/bad"); !strings.HasPrefix(out, "ok ") {
		t.Errorf("verify within the tolerance prints %q", out)
	}
	status, out, _ = aerun(t, dir, "verify", "--json", "cases/bad", "cases/good")
	dec := json.NewDecoder(strings.NewReader(out))
	var bad, good caseResult
	if err := dec.Decode(&bad); err != nil {
		t.Fatal(err)
	}
	if err := dec.Decode(&good); err != nil {
		t.Fatal(err)
	}
	if status != 1 || bad.Pass || !good.Pass || bad.Case != "bad" || *bad.MaxAbs != 0.25 || *good.MaxAbs != 0 || good.Outputs != 1 || bad.Error == "" {
		t.Errorf("verify --json: status %d, %s", status, out)
	}
	// A model file of another name, with data beside it.
	if err := os.Rename(filepath.Join(dir, "cases/good/model.onnx"), filepath.Join(dir, "cases/good/f32.onnx")); err != nil {
		t.Fatal(err)
	}
	if out := want(t, dir, "verify", "cases/good/f32.onnx"); out != "ok   good/f32.onnx: max abs 0, max rel 0\n" {
		t.Errorf("verify of a model file prints %q", out)
	}
}

func TestVerifyExternalData(t *testing.T) {
	dir := t.TempDir()
	m := testModel(t, false)
	w := m.Graph.Initializer("enc")
	raw := w.Value.Bytes()
	w.Value = nil
	w.External = []onnx.StringPair{{Key: "location", Value: "weights.bin"}}
	if err := onnx.WriteFile(filepath.Join(dir, "model.onnx"), m); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "weights.bin"), raw)
	x, y := of(make([]float32, 16), 1, 16), of(make([]float32, 16), 1, 16)
	if err := onnxcases.WriteSet(dir, 0, []*onnx.Tensor{onnx.NewTensor("image", x)}, []*onnx.Tensor{onnx.NewTensor("reconstruction", y)}); err != nil {
		t.Fatal(err)
	}
	if status, out, _ := aerun(t, dir, "verify", "."); status != 1 || !strings.Contains(out, "another file") {
		t.Errorf("without --external-data: status %d, %q", status, out)
	}
	if out := want(t, dir, "verify", "--external-data", "."); !strings.HasPrefix(out, "ok ") {
		t.Errorf("with --external-data: %q", out)
	}
	if out := want(t, dir, "info", "--external-data", "model.onnx"); !strings.Contains(out, "128 in") {
		t.Errorf("info with --external-data: %q", out)
	}
}

func TestBench(t *testing.T) {
	dir := workspace(t)
	var got []benchResult
	out := want(t, dir, "bench", "--json", "--batch", "1,3", "--threads", "1,2", "--runs", "20", "--trace", "trace.json", "model.onnx")
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 {
		t.Fatalf("%d results: %s", len(got), out)
	}
	for i, r := range got {
		batch, threads := []int{1, 3}[i%2], 1+i/2
		if r.Model != "model.onnx" || r.Backend != "native" || r.Batch != batch || r.Threads != threads || r.Runs != 20 ||
			!(r.MedianUS > 0) || !(r.P99US >= r.MedianUS) || r.GFLOPS == nil || !(*r.GFLOPS > 0) || *r.Ratio != 1 {
			t.Errorf("result %d: %+v", i, r)
		}
		if rate := float64(batch) / r.MedianUS * 1e6; rate < 0.999*r.ImagesPerS || rate > 1.001*r.ImagesPerS {
			t.Errorf("result %d: %v images/s, the median says %v", i, r.ImagesPerS, rate)
		}
	}
	var trace struct {
		TraceEvents []struct {
			Name string
			Ph   string
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "trace.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &trace); err != nil || len(trace.TraceEvents) == 0 || trace.TraceEvents[0].Ph != "X" {
		t.Errorf("trace: %v, %s", err, b)
	}
	text := want(t, dir, "bench", "--part", "encoder", "--runs", "3", "--seconds", "0.01", "--profile", "model.onnx")
	if !strings.Contains(text, "images/s") || !strings.Contains(text, "\nz ") || strings.Contains(text, "\nreconstruction ") {
		t.Errorf("bench of the encoder prints %s", text)
	}
}

func TestInterrupted(t *testing.T) {
	dir := workspace(t)
	t.Chdir(dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{
		{"generate", "-o", "g.png", "model.onnx"},
		{"encode", "-o", "z.npy", "model.onnx", "rows.png"},
		{"reconstruct", "-o", "r.png", "model.onnx", "rows.png"},
		{"bench", "model.onnx"},
	} {
		var out, errs bytes.Buffer
		if status := run(ctx, args, strings.NewReader(""), &out, &errs); status != 1 || errs.String() != "aerun: interrupted\n" {
			t.Errorf("aerun %q: status %d, %q", args, status, errs.String())
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 {
		t.Errorf("interrupted commands left %v", entries)
	}
}

// failingWriter is a full disk or a closed pipe.
type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestFullOutput(t *testing.T) {
	dir := workspace(t)
	t.Chdir(dir)
	for _, args := range [][]string{{"info", "model.onnx"}, {"encode", "model.onnx", "rows.png"}, {"generate", "model.onnx"}, {"--help"}} {
		var errs bytes.Buffer
		if status := run(context.Background(), args, strings.NewReader(""), failingWriter{}, &errs); status != 1 || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("aerun %q with an output that fails: status %d, %q", args, status, errs.String())
		}
	}
}
