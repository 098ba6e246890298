// Package golden holds a test that integer operators give the same bytes on every processor: the SHA-256 of their
// results for fixed values is in testdata.
package golden
