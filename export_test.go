package calm

import "context"

// Hold takes a turn of the model until release is closed, and closes held once it has it.
func (m *Model) Hold(held, release chan struct{}) {
	go func() {
		if m.enter(context.Background()) == nil {
			close(held)
			<-release
			m.leave()
		}
	}()
}
