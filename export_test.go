package calm

import "context"

// Hold waits for a turn, closes held, and keeps the turn until release is closed.
func (m *Model) Hold(held, release chan struct{}) {
	go func() {
		if m.enter(context.Background()) == nil {
			close(held)
			<-release
			m.leave()
		}
	}()
}
