// Package clienttest tests the server with OpenAI's own client. It is a package of its own since the client takes long to compile.
package clienttest

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/calm-go/calm"
	"github.com/calm-go/calm/internal/serve"
	"github.com/calm-go/calm/internal/serve/servetest"
)

// client returns OpenAI's own client for a server.
func client(url, key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(url+"/v1/"), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// TestClient uses the server with OpenAI's own client.
func TestClient(t *testing.T) {
	r, err := servetest.Train(t.TempDir(), servetest.Song)
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Options{Runs: []string{r.LM, r.AR, r.AE}, Threads: 1, MaxLoaded: 4, Streams: 8, Queue: 32, MaxTokens: 1000, MaxBody: 1 << 20,
		Timeout: time.Minute, Temperature: 1, Keys: []string{"other", "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := httptest.NewServer(s)
	defer h.Close()
	c, ctx := client(h.URL, "secret"), t.Context()
	t.Run("completions", func(t *testing.T) { clientCompletions(t, ctx, c) })
	t.Run("chat", func(t *testing.T) { clientChat(t, ctx, c) })
	t.Run("embeddings", func(t *testing.T) { clientEmbeddings(t, ctx, c, r.LM) })
	t.Run("models", func(t *testing.T) { clientModels(t, ctx, c) })
	t.Run("errors", func(t *testing.T) { clientErrors(t, ctx, c, client(h.URL, "wrong")) })
}

func clientCompletions(t *testing.T, ctx context.Context, c openai.Client) {
	p := openai.CompletionNewParams{Model: "lm", Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"Call", "whale"}},
		MaxTokens: openai.Int(21), Seed: openai.Int(-3), N: openai.Int(2), Temperature: openai.Float(.5), TopP: openai.Float(1)}
	got, err := c.Completions.New(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Choices) != 4 || got.Usage.CompletionTokens != 84 || got.Usage.PromptTokens != 9 || got.Model != "lm" || got.Choices[3].FinishReason != "length" || got.Choices[3].Index != 3 {
		t.Errorf("%s", got.RawJSON())
	}
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Completions.NewStreaming(ctx, p)
	defer stream.Close()
	pieces, usage, ends := make([]string, 4), int64(0), 0
	for stream.Next() {
		chunk := stream.Current()
		for _, one := range chunk.Choices {
			pieces[one.Index] += one.Text
			if one.FinishReason != "" {
				ends++
			}
		}
		usage += chunk.Usage.CompletionTokens
	}
	if err := stream.Err(); err != nil || usage != 84 || ends != 4 {
		t.Errorf("the stream: %v, %d tokens, %d ends", err, usage, ends)
	}
	for i, want := range got.Choices {
		if pieces[i] != want.Text || want.Text == "" {
			t.Errorf("choice %d: %q, want %q", i, pieces[i], want.Text)
		}
	}
}

func clientChat(t *testing.T, ctx context.Context, c openai.Client) {
	p := openai.ChatCompletionNewParams{Model: "lm", Seed: openai.Int(4), MaxCompletionTokens: openai.Int(30), N: openai.Int(2),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage("Call?"), openai.AssistantMessage("me"), openai.UserMessage("Who?")}}
	got, err := c.Chat.Completions.New(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Choices) != 2 || got.Choices[0].Message.Role != "assistant" || got.Choices[0].Message.Content == "" || got.Object != "chat.completion" {
		t.Errorf("%s", got.RawJSON())
	}
	if want := len("Be brief.\n\nUser: Call?\nAssistant: me\nUser: Who?\nAssistant:"); got.Usage.PromptTokens != int64(want) {
		t.Errorf("%d tokens in the transcript, want %d", got.Usage.PromptTokens, want)
	}
	stream := c.Chat.Completions.NewStreaming(ctx, p)
	defer stream.Close()
	whole := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		if chunk := stream.Current(); !whole.AddChunk(chunk) {
			t.Errorf("the accumulator refuses %s", chunk.RawJSON())
		}
	}
	if stream.Err() != nil || len(whole.Choices) != 2 {
		t.Fatalf("%v, %d choices", stream.Err(), len(whole.Choices))
	}
	for i, want := range got.Choices {
		if c := whole.Choices[i]; c.Message.Content != want.Message.Content || c.FinishReason != want.FinishReason || c.Message.Role != "assistant" {
			t.Errorf("choice %d: %+v, want %+v", i, c.Message, want.Message)
		}
	}
}

func clientEmbeddings(t *testing.T, ctx context.Context, c openai.Client, run string) {
	m, err := calm.Open(run, calm.Threads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	vectors, err := m.Encode("Call me")
	if err != nil || len(vectors) != 2 {
		t.Fatal(vectors, err)
	}
	for _, model := range []string{"lm", "ae"} {
		got, err := c.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: model, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"whale", "Call me"}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Data) != 2 || got.Data[1].Index != 1 || got.Usage.PromptTokens != 12 {
			t.Fatalf("%s", got.RawJSON())
		}
		for i, x := range got.Data[1].Embedding {
			want := float32((float64(vectors[0][i]) + float64(vectors[1][i])) / 2)
			if float32(x) != want || len(got.Data[1].Embedding) != 8 {
				t.Errorf("%s: number %d is %g, want %g", model, i, x, want)
			}
		}
	}
}

func clientModels(t *testing.T, ctx context.Context, c openai.Client) {
	page, err := c.Models.List(ctx)
	if err != nil || len(page.Data) != 3 || page.Data[0].ID != "lm" || page.Data[0].Created == 0 {
		t.Fatalf("%+v, %v", page, err)
	}
	one, err := c.Models.Get(ctx, "ae")
	if err != nil || one.ID != "ae" || one.OwnedBy != "calm" {
		t.Errorf("%+v, %v", one, err)
	}
}

func clientErrors(t *testing.T, ctx context.Context, good, bad openai.Client) {
	for _, of := range []struct {
		c      openai.Client
		p      openai.CompletionNewParams
		status int
		code   string
		param  string
	}{
		{good, openai.CompletionNewParams{Model: "lm", TopP: openai.Float(.5)}, 400, "unsupported_parameter", "top_p"},
		{good, openai.CompletionNewParams{Model: "gpt-4"}, 404, "model_not_found", "model"},
		{bad, openai.CompletionNewParams{Model: "lm"}, 401, "invalid_api_key", ""},
	} {
		_, err := of.c.Completions.New(ctx, of.p)
		var failed *openai.Error
		if !errors.As(err, &failed) || failed.StatusCode != of.status || failed.Code != of.code || failed.Param != of.param || failed.Message == "" {
			t.Errorf("%+v: %v", of.p, err)
		}
		stream := of.c.Completions.NewStreaming(ctx, of.p)
		for stream.Next() {
		}
		if !errors.As(stream.Err(), &failed) || failed.StatusCode != of.status {
			t.Errorf("streamed: %v", stream.Err())
		}
		stream.Close()
	}
}
