package dataset

import "context"

// meanBatch is how many images Mean reads at a time.
const meanBatch = 256

// Mean returns the mean of at most most images of src, spread evenly over it, as
// [Channels][Height][Width] with values in [0, 1]. Of an empty source it is nil.
func Mean(ctx context.Context, src Source, most int) ([]float32, error) {
	n, elems := min(src.Len(), most), src.Info().Elems()
	if n <= 0 {
		return nil, nil
	}
	sum := make([]float64, elems)
	images := make([]float32, min(n, meanBatch)*elems)
	index := make([]int, 0, meanBatch)
	for done := 0; done < n; done += len(index) {
		index = index[:0]
		for i := done; i < min(done+meanBatch, n); i++ {
			index = append(index, int(int64(i)*int64(src.Len())/int64(n)))
		}
		batch := images[:len(index)*elems]
		if err := src.Read(ctx, index, batch, nil); err != nil {
			return nil, err
		}
		for i := range index {
			for j, v := range batch[i*elems : (i+1)*elems] {
				sum[j] += float64(v)
			}
		}
	}
	mean := make([]float32, elems)
	for i, s := range sum {
		mean[i] = float32(s / float64(n))
	}
	return mean, nil
}
