// Package archtest holds the tests of the architecture: which package may import which, and
// what a program for small devices never links. It has no code of its own.
package archtest
