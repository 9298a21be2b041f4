package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// bashCompletion is the completion for bash. The first word that is a command decides which flags are offered.
func bashCompletion(app *kong.Application) string {
	var names []string
	for _, c := range commands(app) {
		names = append(names, c.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion for stripchart
_stripchart() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word
  # bash has split --flag=value in three
  if [[ $cur == '=' ]]; then
    cur=
  elif [[ $prev == '=' ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      %s) command=$word; break ;;
    esac
  done
  case $prev in
`, strings.Join(names, "|"))
	seen := map[string]bool{}
	for _, command := range append([]string{""}, names...) {
		for _, f := range flagsOf(app, command) {
			if f.IsBool() || seen[f.Name] {
				continue
			}
			seen[f.Name] = true
			action := "return"
			switch {
			case choices(f) != nil:
				action = fmt.Sprintf(`COMPREPLY=($(compgen -W '%s' -- "$cur")); return`, strings.Join(choices(f), " "))
			case takesFolder(f):
				action = `COMPREPLY=($(compgen -d -- "$cur")); return`
			case takesFile(f):
				action = `COMPREPLY=($(compgen -f -- "$cur")); return`
			}
			fmt.Fprintf(&b, "    --%s) %s ;;\n", f.Name, action)
		}
	}
	b.WriteString("  esac\n  case $command in\n")
	for _, command := range append([]string{""}, names...) {
		words := below(app, command)
		if command == "" {
			words = slices.Clone(names)
		}
		for _, f := range flagsOf(app, command) {
			words = append(words, "--"+f.Name)
		}
		fmt.Fprintf(&b, "    '%s') COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", command, strings.Join(words, " "))
	}
	b.WriteString("  esac\n}\ncomplete -o default -F _stripchart stripchart\n")
	return b.String()
}

// zshCompletion is the completion for zsh.
func zshCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("#compdef stripchart\n\nlocal command word\nlocal -a commands=(\n")
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "  %s\n", quoted(c.Name+":"+c.Help))
	}
	b.WriteString(")\nfor word in ${words[2,CURRENT-1]}; do\n  if (( ${commands[(I)$word:*]} )); then\n    command=$word\n    break\n  fi\ndone\ncase $command in\n")
	write := func(command, rest string) {
		fmt.Fprintf(&b, "  '%s') _arguments", command)
		for _, f := range flagsOf(app, command) {
			help := strings.NewReplacer("[", "(", "]", ")").Replace(firstSentence(f.Help))
			spec := "--" + f.Name + "[" + help + "]"
			if !f.IsBool() {
				action := ""
				switch {
				case choices(f) != nil:
					action = "(" + strings.Join(choices(f), " ") + ")"
				case takesFolder(f):
					action = "_files -/"
				case takesFile(f):
					action = "_files"
				}
				spec = "--" + f.Name + "=[" + help + "]:value:" + action
			}
			fmt.Fprintf(&b, " \\\n    %s", quoted(spec))
		}
		fmt.Fprintf(&b, " \\\n    %s ;;\n", quoted(rest))
	}
	write("", "1:command:{_describe command commands}")
	for _, c := range commands(app) {
		rest := "*:argument:_files"
		if names := below(app, c.Name); names != nil {
			rest = "2:command:(" + strings.Join(names, " ") + ")"
		}
		write(c.Name, rest)
	}
	b.WriteString("esac\n")
	return b.String()
}

// fishCompletion is the completion for fish.
func fishCompletion(app *kong.Application) string {
	var b strings.Builder
	var names []string
	for _, c := range commands(app) {
		names = append(names, c.Name)
	}
	none := "not __fish_seen_subcommand_from " + strings.Join(names, " ")
	b.WriteString("# fish completion for stripchart\n")
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "complete -c stripchart -n '%s' -f -a %s -d %s\n", none, c.Name, quotedFish(c.Help))
		for _, sub := range c.Children {
			fmt.Fprintf(&b, "complete -c stripchart -n '__fish_seen_subcommand_from %s' -f -a %s -d %s\n", c.Name, sub.Name, quotedFish(sub.Help))
		}
	}
	for _, command := range append([]string{""}, names...) {
		condition := none
		if command != "" {
			condition = "__fish_seen_subcommand_from " + command
		}
		for _, f := range flagsOf(app, command) {
			value := ""
			switch {
			case f.IsBool():
			case choices(f) != nil:
				value = " -x -a '" + strings.Join(choices(f), " ") + "'"
			case takesFolder(f):
				value = " -x -a '(__fish_complete_directories)'"
			case takesFile(f):
				value = " -r -F"
			default:
				value = " -x"
			}
			fmt.Fprintf(&b, "complete -c stripchart -n '%s' -l %s%s -d %s\n", condition, f.Name, value, quotedFish(firstSentence(f.Help)))
		}
	}
	return b.String()
}

// firstSentence is as much of a flag's help as has room beside it.
func firstSentence(help string) string {
	s, _, _ := strings.Cut(help, ". ")
	s, _, _ = strings.Cut(s, "; ")
	return strings.TrimSuffix(s, ".")
}

// quoted is a text as one word of bash or zsh.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quotedFish is a text as one word of fish.
func quotedFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

// flagsOf are the flags that mean something to a command and to those below it; "" is the program without a command.
func flagsOf(app *kong.Application, command string) (list []*kong.Flag) {
	flags := slices.Clone(app.Flags)
	for _, c := range app.Children {
		if c.Name == command {
			flags = append(flags, c.Flags...)
			for _, below := range c.Children {
				flags = append(flags, below.Flags...)
			}
		}
	}
	for _, f := range flags {
		if !f.Hidden && means(command, f) {
			list = append(list, f)
		}
	}
	return list
}

// below are the names of the commands below a command, such as those of stripchart token.
func below(app *kong.Application, command string) (names []string) {
	for _, c := range app.Children {
		if c.Name == command {
			for _, b := range c.Children {
				names = append(names, b.Name)
			}
		}
	}
	return names
}

// takesFile and takesFolder say whether the value of a flag is a path, by its placeholder.
func takesFile(f *kong.Flag) bool   { return f.PlaceHolder == "FILE" }
func takesFolder(f *kong.Flag) bool { return f.PlaceHolder == "DIR" }

// choices are the values that a flag has, if they can be listed.
func choices(f *kong.Flag) (list []string) {
	if f.Enum == "" {
		return nil
	}
	for _, s := range strings.Split(f.Enum, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}
