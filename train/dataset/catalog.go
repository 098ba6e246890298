package dataset

import (
	"os"
	"path/filepath"
	"strings"
)

// An entry is a data set that is downloaded by name.
type entry struct {
	name    string
	dirs    []string // subfolders of Options.Dir where its files may be
	files   []remote
	mirrors []string // base addresses, best first

	// find loads the set from a folder. found is false if files are missing. partial
	// allows a well-known part of the set.
	find func(dir string, partial bool) (train, test *memory, found bool, err error)
}

// A remote file is identified by its size and SHA-256.
type remote struct {
	name   string
	size   int64
	sha256 string
}

var catalog = []entry{
	{
		name: "mnist",
		dirs: []string{"mnist", "MNIST", "MNIST/raw"},
		files: []remote{
			{"train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
			{"train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
			{"t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
			{"t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
		},
		mirrors: []string{
			"https://storage.googleapis.com/cvdf-datasets/mnist",
			"https://ossci-datasets.s3.amazonaws.com/mnist",
		},
		find: findMNIST("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
	},
	{
		name: "fashion-mnist",
		dirs: []string{"fashion-mnist", "FashionMNIST", "FashionMNIST/raw"},
		files: []remote{
			{"train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"},
			{"train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"},
			{"t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"},
			{"t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"},
		},
		mirrors: []string{
			"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
		},
		find: findMNIST("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
	},
	{
		name: "cifar10",
		dirs: []string{"cifar10", "cifar-10-batches-bin", "cifar10-sample"},
		files: []remote{
			{cifarArchive, 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
		},
		mirrors: []string{"https://www.cs.toronto.edu/~kriz"},
		find:    findCIFAR,
	},
}

const (
	cifarArchive = "cifar-10-binary.tar.gz"
	cifarSample  = "train-5000.bin.gz"
)

// findMNIST looks for the four IDX files, with or without .gz, under both of the
// spellings that are in use.
func findMNIST(classes ...string) func(string, bool) (*memory, *memory, bool, error) {
	return func(dir string, _ bool) (*memory, *memory, bool, error) {
		var paths [4]string
		for i, name := range []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"} {
			dotted := strings.Replace(name, "-idx", ".idx", 1)
			if paths[i] = firstFile(dir, name+".gz", name, dotted+".gz", dotted); paths[i] == "" {
				return nil, nil, false, nil
			}
		}
		train, err := openIDXPair(paths[0], paths[1], classes)
		if err != nil {
			return nil, nil, false, err
		}
		test, err := openIDXPair(paths[2], paths[3], classes)
		if err != nil {
			return nil, nil, false, err
		}
		return train, test, true, nil
	}
}

// findCIFAR looks for the batches, with or without .gz, then for the archive.
func findCIFAR(dir string, partial bool) (train, test *memory, found bool, err error) {
	var batches []string
	for _, n := range append(cifarTrainFiles(), cifarTestFile) {
		if p := firstFile(dir, n, n+".gz"); p != "" {
			batches = append(batches, p)
		}
	}
	if len(batches) == 6 {
		if train, err = openCIFARFiles(batches[:5]); err != nil {
			return nil, nil, false, err
		}
		test, err = openCIFARFiles(batches[5:])
		return train, test, err == nil, err
	}
	if p := firstFile(dir, cifarArchive); p != "" {
		train, test, err = openCIFARArchive(p)
		return train, test, err == nil, err
	}
	if p := firstFile(dir, cifarSample); p != "" && partial {
		all, err := openCIFARFiles([]string{p})
		if err != nil {
			return nil, nil, false, err
		}
		k := all.n - all.n/10
		if train, err = newCIFAR(all.pix[:k*cifarPixels], all.labels[:k]); err != nil {
			return nil, nil, false, err
		}
		if k < all.n {
			test, err = newCIFAR(all.pix[k*cifarPixels:], all.labels[k:])
		}
		return train, test, err == nil, err
	}
	return nil, nil, false, nil
}

// firstFile returns the path of the first of names that is a regular file in dir, or "".
func firstFile(dir string, names ...string) string {
	for _, n := range names {
		p := filepath.Join(dir, n)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p
		}
	}
	return ""
}
