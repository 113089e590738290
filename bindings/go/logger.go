package raft

import (
	"log"
	"os"
	"sync"

	"github.com/raftcore/raftcore/bindings/go/internal/capi"
)

var (
	defaultLogger = &DefaultLogger{Logger: log.New(os.Stderr, "raft", log.LstdFlags)}
	loggerMu      sync.Mutex
	logger        Logger = defaultLogger
)

// SetLogger sets the logger of nodes whose [Config] has none. Nil means the default.
func SetLogger(l Logger) {
	loggerMu.Lock()
	defer loggerMu.Unlock()
	if l == nil {
		l = defaultLogger
	}
	logger = l
}

// ResetDefaultLogger undoes SetLogger.
func ResetDefaultLogger() { SetLogger(nil) }

func getLogger() Logger {
	loggerMu.Lock()
	defer loggerMu.Unlock()
	return logger
}

// logTo hands the library's lines to a logger. Neither Fatal nor Panic is ever called.
func logTo(l Logger) capi.LogFunc {
	return func(level int32, text string) {
		switch level {
		case capi.LevelDebug:
			l.Debug(text)
		case capi.LevelInfo:
			l.Info(text)
		case capi.LevelWarn:
			l.Warning(text)
		default:
			l.Error(text)
		}
	}
}
