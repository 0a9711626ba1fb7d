package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// readyTimeout bounds a start, from exec to the first right answer. A
	// start takes under a second; the rest is for busy machines and long logs
	// that a killed server has to replay.
	readyTimeout = 60 * time.Second
	// readyPoll is the pause between two questions to a starting server.
	readyPoll = 5 * time.Millisecond
	// tailBytes of a server's log are put into errors and failed tests.
	tailBytes = 4096
)

// Server is one real server: its command line, port and data directory stay
// the same over Kill, Stop and Start. Methods may be called from any
// goroutine.
type Server struct {
	name    string
	command Command
	// answers asks the server once and returns nil if it is ready to serve.
	answers func(ctx context.Context) error

	mu   sync.Mutex
	proc *Process
}

// newServer starts the server name with its log beside its data in dir.
func newServer(name, dir string, command Command, answers func(context.Context) error) (*Server, error) {
	command.Log = filepath.Join(dir, name+".log")
	s := &Server{name: name, command: command, answers: answers}
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}

// Start starts the server, on its port and with its data, and returns when it
// answers. It is an error if it runs already, ends at once, or does not answer
// within 60 s; the error then holds the end of its log.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		select {
		case <-s.proc.Done():
		default:
			return fmt.Errorf("%s runs already", s.name)
		}
	}
	proc, err := s.command.Start()
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	if err := s.awaitReady(proc); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w\n%s", s.name, err, s.LogTail()), proc.Kill())
	}
	s.proc = proc
	return nil
}

func (s *Server) awaitReady(proc *Process) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		err := s.answers(ctx)
		select {
		case <-proc.Done():
			return fmt.Errorf("it ended before it answered: %v", proc.Wait())
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-proc.Done():
		case <-ctx.Done():
			return fmt.Errorf("it did not answer within %v: %w", readyTimeout, err)
		case <-poll.C:
		}
	}
}

// Kill ends the server with SIGKILL, as kill -9 or the kernel would, and
// returns after its end.
func (s *Server) Kill() error { return s.process().Kill() }

// Stop ends the server with SIGTERM, which lets it write what it holds, and
// returns after its end.
func (s *Server) Stop() error { return s.process().Stop() }

// Wait returns when the server's present process has ended.
func (s *Server) Wait() error { return s.process().Wait() }

// Pid is the id of the server's present, or last, process.
func (s *Server) Pid() int { return s.process().Pid() }

func (s *Server) process() *Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Log is the file with everything the server has printed, over all its starts.
func (s *Server) Log() string { return s.command.Log }

// LogTail is the last 4 KiB of the log, whole lines, under a title.
func (s *Server) LogTail() string {
	log, err := os.ReadFile(s.command.Log)
	if err != nil {
		return fmt.Sprintf("%s has no log: %v", s.name, err)
	}
	if cut := len(log) - tailBytes; cut > 0 {
		log = log[cut:]
		if line := bytes.IndexByte(log, '\n'); line >= 0 {
			log = log[line+1:]
		}
	}
	return fmt.Sprintf("the end of the log of %s:\n%s", s.name, log)
}
