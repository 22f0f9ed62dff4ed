// Package interchange imports models of the PyTorch reference as runs, and exports runs as directories that the reference
// loads. docs/interchange.md lists the files and names.
//
// Weights are copied from file to file a megabyte at a time, in their own format. So importing a model of any size needs little
// memory.
package interchange

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// Options are the options of Import.
type Options struct {
	AE        string       // directory or name of a language model's autoencoder; "": inside the model, or where ae_path says
	Tokenizer string       // bytes, llama3:FILE, a tokenizer.json, or NoTokenizer; "": the one in the model's directory, if any
	AllowNaN  bool         // import weights with NaN or infinity, which are an error otherwise
	Log       func(string) // called with a line about each download; nil: not called
}

// NoTokenizer as Options.Tokenizer imports a model without a tokenizer: its run works on ids.
const NoTokenizer = "none"

// Report is the result of an import or an export.
type Report struct {
	Kind       run.Kind       // kind of the run
	Model      string         // class of the model in the reference
	Parameters int            // number of parameters, frozen ones included
	Formats    map[string]int // number of parameters by number format, with the reference's names: float32, bfloat16, float16
	Notes      []string       // settings that the source does not contain and where they are from, the autoencoder's source, and so on
}

// Import makes a run in dir from a model of the reference. src is its directory, or its name on the hub (package hub). After an
// error nothing is left in dir. Errors in src, dir or the options are *run.UsageError.
func Import(ctx context.Context, src, dir string, o Options) (*Report, error) {
	if err := free(dir); err != nil {
		return nil, err
	}
	name := src
	src, err := local(ctx, src, o.Log)
	if err == nil && o.AE != "" {
		o.AE, err = local(ctx, o.AE, o.Log)
	}
	if err != nil {
		return nil, err
	}
	if name == src {
		name, _ = filepath.Abs(src) // "" if the working directory is unknown
	}
	m := &model{params: nn.NewParams()}
	if err = m.open(ctx, src, name, o); err == nil {
		err = m.check(ctx)
	}
	switch {
	case err == nil:
		err = m.write(ctx, dir, o.AllowNaN)
	case ctx.Err() == nil:
		err = badSource(src, err, m.report.Notes)
	}
	return &m.report, errors.Join(err, m.Close())
}

// badSource returns the error for a model that cannot be imported. It lists the settings that its configuration lacks, since
// they may be the reason.
func badSource(src string, err error, notes []string) error {
	if len(notes) > 0 {
		err = fmt.Errorf("%w\nits config.json lacks settings, which were taken from elsewhere:\n  %s", err, lines(notes))
	}
	return &run.UsageError{Err: fmt.Errorf("import %s: %w", src, err)}
}

// model is a model of the reference that is being imported.
type model struct {
	report    Report
	config    any           // *run.AEConfig, *run.LMConfig or *run.ARConfig
	ae        *run.AEConfig // of a language model
	tokenizer *tokenizer.Tokenizer
	params    *nn.Params
	tensors   map[string]source
	streams   []checkpoint.Stream // the parameters, with calm's names, after check
	files     []*weights
}

// Close closes the files of weights.
func (m *model) Close() error {
	var errs []error
	for _, w := range m.files {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// open reads the files that describe a model and declares its parameters. The run's configuration will have name as the model's
// source.
func (m *model) open(ctx context.Context, src, name string, o Options) error {
	if info, err := os.Stat(src); err != nil {
		return err
	} else if !info.IsDir() {
		return errors.New("it is a file: want its directory, with config.json")
	}
	for _, name := range []string{checkpoint.ConfigFile, safetensorsIndex, binIndex, checkpoint.TokenizerFile, "tokenizer.model"} {
		if err := readable(filepath.Join(src, name)); err != nil {
			return err
		}
	}
	ref, err := readReference(src)
	if err != nil {
		return err
	}
	if err := m.read(src, ""); err != nil {
		return err
	}
	kind, head, err := ref.kindOf(m.tensors)
	if err != nil {
		return err
	}
	if o.AE != "" && kind != run.LM {
		return errors.New("--ae is for language models only")
	}
	if m.tokenizer, err = chooseTokenizer(src, o.Tokenizer, ref.VocabSize); err != nil {
		return err
	}
	d := &describer{dir: src, reference: ref, tensors: m.tensors, tokenizer: m.tokenizer, imported: name}
	err = m.describe(ctx, d, kind, head, o.AE)
	m.tokenizer, m.report.Notes = d.tokenizer, ref.notes
	return err
}

// describe makes the run's configuration and declares the parameters.
func (m *model) describe(ctx context.Context, d *describer, kind run.Kind, head, ae string) error {
	var block int
	var err error
	switch m.report.Kind = kind; kind {
	case run.AE:
		m.report.Model = "Autoencoder"
		block, err = m.describeAE(d)
	case run.AR:
		m.report.Model = "LlamaForCausalLM"
		block, err = m.describeAR(d)
	default:
		m.report.Model = classOf(head)
		block, err = m.describeLM(ctx, d, head, ae)
	}
	if err == nil {
		d.note("config.json does not say block_size: taking %d", block)
	}
	return err
}

// read adds the weights in a directory, with prefix added to their names.
func (m *model) read(dir, prefix string) error {
	w, err := openWeights(dir)
	if err != nil {
		return err
	}
	m.files = append(m.files, w)
	if m.tensors == nil {
		m.tensors = map[string]source{}
	}
	for name, s := range w.tensors {
		s.Name = prefix + name
		m.tensors[s.Name] = s
	}
	return nil
}

// describeAE makes the configuration of an autoencoder's run and declares the parameters. It returns the block size in tokens.
// describeAR and describeLM do the same for the other kinds.
func (m *model) describeAE(d *describer) (block int, err error) {
	c, err := d.autoencoder()
	if err != nil {
		return 0, err
	}
	m.config = &c
	autoencoder.New(c.AutoencoderConfig, m.params, "")
	return c.BlockSize, nil
}

func (m *model) describeAR(d *describer) (block int, err error) {
	c, err := d.baseline()
	if err != nil {
		return 0, err
	}
	m.config = &c
	ar.New(c.BaselineConfig, m.params)
	return c.BlockSize, nil
}

func (m *model) describeLM(ctx context.Context, d *describer, head, asked string) (block int, err error) {
	language, err := d.languageModel(head)
	if err != nil {
		return 0, err
	}
	ae, err := m.autoencoder(ctx, d, language, asked)
	if err != nil {
		return 0, err
	}
	c, err := d.over(language, ae.AutoencoderConfig)
	if err != nil {
		return 0, err
	}
	ae.BOSTokenID, ae.EOSTokenID, ae.PadTokenID = c.BOSTokenID, c.EOSTokenID, c.PadTokenID
	m.config, m.ae = &c, &ae
	lm.New(c.LanguageConfig, ae.AutoencoderConfig, m.params)
	return c.BlockSize, nil
}

// check matches the tensors with the parameters; see account.
func (m *model) check(ctx context.Context) error {
	found, notes, err := account(ctx, m.params.All(), m.tensors)
	if err != nil {
		return err
	}
	m.streams = found
	m.report.Notes = append(m.report.Notes, notes...)
	m.report.Parameters, _ = m.params.Count()
	m.report.Formats = countFormats(found)
	return nil
}

func countFormats(streams []checkpoint.Stream) map[string]int {
	counts := map[string]int{}
	for _, s := range streams {
		n := 1
		for _, d := range s.Shape {
			n *= d
		}
		counts[formats[s.DType]] += n
	}
	return counts
}

// write makes the run. config.json is written last, since it makes the directory a run.
func (m *model) write(ctx context.Context, dir string, allowNaN bool) (err error) {
	r, err := checkpoint.CreateRun(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("import into %s: %w", dir, errors.Join(err, r.Abandon()))
		} else {
			err = r.Close()
		}
	}()
	if m.tokenizer != nil {
		if err := r.AddBytes(checkpoint.TokenizerFile, m.tokenizer.JSON()); err != nil {
			return err
		}
	}
	var ae, all []checkpoint.Stream
	notFinite := notFinite{}
	for _, s := range m.streams {
		s = cancelled(ctx, s)
		all = append(all, notFinite.watch(s))
		if name, ok := strings.CutPrefix(s.Name, lm.AEPrefix); ok {
			s.Name = name
			ae = append(ae, s)
		}
	}
	if m.ae != nil {
		data, err := config.Encode(m.ae)
		if err != nil {
			return err
		}
		if err := r.AddBytes(checkpoint.AutoencoderIn+"/"+checkpoint.ConfigFile, data); err != nil {
			return err
		}
		if err := r.AddWeights(checkpoint.AutoencoderIn+"/"+checkpoint.ModelFile, ae); err != nil {
			return err
		}
	}
	if err := r.AddWeights(checkpoint.ModelFile, all); err != nil {
		return err
	}
	if found := notFinite.among(len(all)); found != "" {
		if !allowNaN {
			return &run.UsageError{Err: fmt.Errorf("%s: the training that made them diverged, or they are damaged; --allow-nan imports them all the same", found)}
		}
		m.report.Notes = append(m.report.Notes, found)
	}
	return r.WriteConfig(m.config)
}

// Lines returns the report for people.
func (r *Report) Lines() []string {
	var of []string
	for _, name := range slices.Sorted(maps.Keys(r.Formats)) {
		of = append(of, fmt.Sprintf("%d in %s", r.Formats[name], name))
	}
	return append([]string{fmt.Sprintf("%s, kind %s: %d parameters, %s", r.Model, r.Kind, r.Parameters, strings.Join(of, ", "))}, plural.Lines(r.Notes, strings.Clone)...)
}
