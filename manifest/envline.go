package manifest

import "strings"

// EnvLine is the line of an env file that gives a variable its value, whatever that holds.
func EnvLine(name, value string) string {
	if !strings.ContainsAny(value, `'\`) {
		return name + "='" + value + "'\n"
	}
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value) + "\"\n"
}
