package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aekit/aekit/internal/atomicfile"
)

// Main runs a program and ends the process with the status that run returns. SIGINT or SIGTERM
// ends run's context. A second one ends the process at once, and so does work that does not
// stop within grace; the temporary files of package atomicfile are then removed.
func Main(grace time.Duration, run func(context.Context) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop()
		time.Sleep(grace)
		atomicfile.Cleanup()
		os.Exit(Failed)
	}()
	os.Exit(run(ctx))
}
