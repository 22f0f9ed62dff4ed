package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/calm-go/calm"
)

// problem is an error as a client sees it: an HTTP status, and the fields of an error in OpenAI's API.
type problem struct {
	status  int
	message string
	kind    string        // OpenAI's type
	param   string        // the field that is wrong; "" where there is none
	code    string        // OpenAI's code; "" where there is none
	retry   time.Duration // when to try again; 0: never
}

// Error returns the message.
func (p *problem) Error() string { return p.message }

// Status returns the HTTP status, for package page.
func (p *problem) Status() int { return p.status }

// errorBody is the JSON form of a problem.
type errorBody struct {
	Error errorFields `json:"error"`
}

type errorFields struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (p *problem) body() errorBody {
	return errorBody{errorFields{p.message, p.kind, orNull(p.param), orNull(p.code)}}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// write answers with the problem.
func (p *problem) write(w http.ResponseWriter) {
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(p.retry.Round(time.Second)/time.Second))))
	}
	writeJSON(w, p.status, p.body())
}

const invalidRequest = "invalid_request_error"

// badField says that a field of a request is wrong.
func badField(param, format string, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, message: fmt.Sprintf(format, args...), kind: invalidRequest, param: param}
}

// unsupported says that a field asks for what such a model cannot do.
func unsupported(param, format string, args ...any) *problem {
	p := badField(param, format, args...)
	p.code = "unsupported_parameter"
	return p
}

var (
	errDraining = &problem{status: http.StatusServiceUnavailable, message: "the server is shutting down: it takes no new requests",
		kind: "service_unavailable_error", code: "shutting_down", retry: 5 * time.Second}
	errKey = &problem{status: http.StatusUnauthorized, message: "this server needs an API key, in the header Authorization: Bearer KEY",
		kind: "authentication_error", code: "invalid_api_key"}
)

// errTimeLimit is the cause of the end of a request's context after the longest time that a request may take.
var errTimeLimit = errors.New("the request's time is over")

// errCutOff is the cause of the end of a request's context when the server does not wait any longer for it to finish.
var errCutOff = errors.New("the server is shutting down")

// problemOf returns what to tell a client of an error. The server's own errors are logged, and not told in full.
func (s *Server) problemOf(ctx context.Context, err error) *problem {
	var (
		known  *problem
		input  *calm.InputError
		budget *calm.BudgetError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &input):
		return badField("", "%s", strings.TrimPrefix(input.Error(), "generate: "))
	case errors.As(err, &budget):
		return &problem{status: http.StatusBadRequest, message: budget.Error(), kind: invalidRequest, param: "draws", code: "draws_exhausted"}
	case errors.Is(err, calm.ErrNoTokenizer), errors.Is(err, calm.ErrKind):
		return badField("model", "%s", err.Error())
	case errors.Is(context.Cause(ctx), errTimeLimit):
		return &problem{status: http.StatusServiceUnavailable, message: fmt.Sprintf("the request did not get its turn in %v, which is the longest that a request may take", s.options.Timeout),
			kind: "service_unavailable_error", code: "timeout", retry: 30 * time.Second}
	case errors.Is(context.Cause(ctx), errCutOff), errors.Is(err, calm.ErrClosed):
		return &problem{status: http.StatusServiceUnavailable, message: "the server is shutting down: the request was cut off", kind: "service_unavailable_error", code: "shutting_down"}
	case ctx.Err() != nil: // nobody reads it
		return &problem{status: 499, message: "the client has gone", kind: invalidRequest, code: "client_gone"}
	}
	s.log("calm serve: %v", err)
	return &problem{status: http.StatusInternalServerError, message: "the server failed; its log says why", kind: "server_error"}
}
