package main

import (
	"strings"

	"github.com/aekit/aekit/internal/cli"
)

// completion prints the script by which a shell completes this program's command lines.
func (a *app) completion(args []string) error {
	if len(args) != 1 {
		return usagef("usage: aerun completion %s", strings.Join(cli.Shells, "|"))
	}
	var list []cli.Verb
	for i := range verbs {
		v := cli.Verb{Name: verbs[i].name, Short: verbs[i].short}
		b := app{ctx: a.ctx, verb: &verbs[i], listing: &v.Flags}
		if err := verbs[i].run(&b, nil); err != errHelp {
			return err
		}
		list = append(list, v)
	}
	script, err := cli.Completion(args[0], "aerun", list)
	if err != nil {
		return err
	}
	_, err = a.stdout.WriteString(script)
	return err
}
