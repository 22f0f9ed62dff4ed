package main

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/quickstart"
	"github.com/calm-go/calm/run"
)

// addCompletion sets the shell completion of arguments and flags for all commands.
func addCompletion(root *cobra.Command) {
	// Completion of arguments, by the command's path without "calm".
	for path, f := range map[string]cobra.CompletionFunc{
		"eval": first(runDirs()), "export": first(runDirs()), "info": first(runDirs()), "generate": first(runDirs(run.LM, run.AR)),
		"bench generate": first(runDirs(run.LM, run.AR)), "bench brier": first(runDirs(run.LM, run.AR)), "serve": runDirs(),
	} {
		if cmd, _, err := root.Find(strings.Fields(path)); err == nil {
			cmd.ValidArgsFunction = f
		}
	}
	completeFlags(root)
}

// completeFlags sets the completion of the flags of all subcommands. Most flags complete in the same way in every command.
func completeFlags(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		completeFlags(below)
	}
	everywhere := map[string]cobra.CompletionFunc{
		"preset": presets, "set": assignments, "ae": runDirs(run.AE), "resume": runDirs(), "model": words(kinds()...),
		"sampler": words(values(generate.Samplers())...), "context-full": words(values(generate.ContextFulls())...), "prompt-file": anyFile, "api-key-file": anyFile, "windows": words("all", "reference"), "head": words(head.Names()...),
		"isa": isas, "dtype": words("float32", "bfloat16", "float16"), "tokenizer": tokenizers,
		"config": filesOf("json"), "json": filesOf("json"), "peer": filesOf("json"), "out": directories,
	}
	switch cmd.CommandPath() {
	case "calm quickstart":
		everywhere["head"] = words(quickstart.Heads()...)
	case "calm import":
		everywhere["ae"] = directories // a directory of the reference, not a run
	case "calm tokenizer train":
		everywhere["out"] = filesOf("json")
	}
	for name, f := range everywhere {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Value.Type() != "bool" {
			_ = cmd.RegisterFlagCompletionFunc(name, f) // fails if a parent command has set it already
		}
		if flag := cmd.PersistentFlags().Lookup(name); flag != nil && flag.Value.Type() != "bool" {
			_ = cmd.RegisterFlagCompletionFunc(name, f)
		}
	}
}

// shells lists the shells that calm has completion scripts for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

// newCompletion replaces the completion command that cobra would add.
func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print a script for shell completion of calm's commands",
		Long: `Print a script for shell completion of commands, flags, run directories, presets and configuration keys. Load it when the
shell starts, for example in ~/.bashrc for bash.`,
		Example: `  source <(calm completion bash)
  calm completion zsh > "${fpath[1]}/_calm"
  calm completion fish > ~/.config/fish/completions/calm.fish
  calm completion powershell | Out-String | Invoke-Expression`,
		Args:              exactly(1, "one of "+strings.Join(shells, ", ")),
		ValidArgsFunction: first(words(shells...)),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return badUsage("no completion for the shell %q%s", args[0], hint(cmd, "", args[0], shells))
		},
	}
}

const noFiles = cobra.ShellCompDirectiveNoFileComp

// words completes a word from a fixed list.
func words(list ...string) cobra.CompletionFunc { return cobra.FixedCompletions(list, noFiles) }

func filesOf(extensions ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(extensions, cobra.ShellCompDirectiveFilterFileExt)
}

func anyFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func directories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// first completes the first argument with f, and further arguments as files.
func first(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return f(cmd, args, toComplete)
	}
}

// runDirs completes run directories of the given kinds, or of all kinds if none are given. It searches up to three levels
// below what is typed. If it finds none, it completes directories.
func runDirs(kinds ...run.Kind) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		var found []string
		root, _ := filepath.Split(toComplete)
		findRuns(root, toComplete, 3, func(dir string) {
			c, err := config.Peek[struct {
				Kind run.Kind `json:"kind"`
			}](filepath.Join(dir, checkpoint.ConfigFile))
			if err == nil && c.Kind != "" && (len(kinds) == 0 || slices.Contains(kinds, c.Kind)) {
				found = append(found, cobra.CompletionWithDesc(dir, c.Kind.Title()))
			}
		})
		if len(found) == 0 {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
		return found, noFiles
	}
}

// findRuns calls visit for each run directory at most depth levels below root whose path begins with what is typed.
func findRuns(root, typed string, depth int, visit func(dir string)) {
	entries, err := os.ReadDir(cmp.Or(root, "."))
	if err != nil || depth == 0 {
		return
	}
	for _, e := range entries {
		dir := root + e.Name()
		if hidden := strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(typed, dir); hidden || !isDir(e, dir) || !strings.HasPrefix(dir, typed) {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, checkpoint.ConfigFile)); err == nil {
			visit(dir)
			continue
		}
		findRuns(dir+string(filepath.Separator), typed, depth-1, visit)
	}
}

// isDir reports whether an entry is a directory or a symbolic link to one.
func isDir(e fs.DirEntry, path string) bool {
	if e.Type()&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	}
	return e.IsDir()
}

// kindOf returns the kind of model that a command works on: that of calm train KIND, or of --model. It returns "" for any.
func kindOf(cmd *cobra.Command) run.Kind {
	if slices.Contains(kinds(), cmd.Name()) {
		return run.Kind(cmd.Name())
	}
	if f := cmd.Flags().Lookup("model"); f != nil {
		return run.Kind(f.Value.String())
	}
	if cmd.CommandPath() == "calm bench generate" {
		return run.LM
	}
	return ""
}

// presets completes presets of the command's kind of model. In a list with commas it completes the last.
func presets(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var list []string
	for _, kind := range kinds() {
		if of := kindOf(cmd); of != "" && string(of) != kind {
			continue
		}
		for _, name := range run.Kind(kind).Presets() {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	if cmd.Flags().Lookup("preset").Value.Type() != "string" {
		before := toComplete[:strings.LastIndex(toComplete, ",")+1]
		for i := range list {
			list[i] = before + list[i]
		}
	}
	return beginning(list, toComplete), noFiles
}

// beginning returns the words of a list that begin with what is typed.
func beginning(list []string, typed string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return !strings.HasPrefix(s, typed) })
}

// assignments completes key=value: the keys that the command can set, and values that are words.
func assignments(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	keys := settableKeys(cmd, args)
	name, _, valued := strings.Cut(toComplete, "=")
	var list []string
	for _, k := range keys {
		switch {
		case !valued:
			list = append(list, cobra.CompletionWithDesc(k.name+"=", k.brief()))
		case k.name == name:
			for _, value := range k.options() {
				list = append(list, name+"="+value)
			}
		}
	}
	return beginning(list, toComplete), noFiles | cobra.ShellCompDirectiveNoSpace
}

// settableKeys lists the keys that --set takes in a command: those of a new model, or those that can be set for a run.
func settableKeys(cmd *cobra.Command, args []string) []configKey {
	set, _ := cmd.Flags().GetStringArray("set")
	if p := cmd.Flags().Lookup("preset"); p != nil && !p.Hidden && len(args) == 0 { // a new model
		preset := p.Value.String()
		if list, err := cmd.Flags().GetStringSlice("preset"); err == nil {
			preset = strings.Join(list[:min(1, len(list))], "")
		}
		var all []configKey
		for _, kind := range kinds() {
			if of := kindOf(cmd); of != "" && string(of) != kind {
				continue
			}
			name := cmp.Or(preset, run.DefaultPreset)
			keys, err := configKeys(run.Kind(kind), name, set)
			if err != nil { // the assignments typed so far may not be valid yet
				keys, _ = configKeys(run.Kind(kind), name, nil)
			}
			for _, k := range keys {
				if !slices.ContainsFunc(all, func(b configKey) bool { return b.name == k.name }) {
					all = append(all, k)
				}
			}
		}
		return all
	}
	keys, _ := configKeys(run.LM, run.DefaultPreset, nil)
	if cmd.CommandPath() == "calm train" { // with --resume
		return slices.DeleteFunc(keys, func(k configKey) bool { return !slices.Contains(run.Changeable(), k.name) })
	}
	all := []configKey{{name: "dtype", documented: documented{typ: "string", values: "`float32` `bfloat16` `int8`", meaning: "format of the weights in memory"}}}
	for _, k := range keys {
		if slices.Contains(head.SamplingKeys(), k.name) {
			all = append(all, k)
		}
	}
	return all
}

// isas completes the instruction sets of this machine.
func isas(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var list []string
	for _, s := range kernel.Available() {
		list = append(list, s.String())
	}
	return list, noFiles
}

// tokenizers completes names of tokenizers, and files.
func tokenizers(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	for _, name := range []string{"bytes", "llama3:"} {
		if toComplete != "" && strings.HasPrefix(name, toComplete) {
			return []string{name}, cobra.ShellCompDirectiveDefault
		}
	}
	return nil, cobra.ShellCompDirectiveDefault
}
