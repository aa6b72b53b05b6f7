// Package render shows plans, reports, progress and errors to people and to machines.
//
// A plan and a report of an apply each become a view first: plain data without a
// secret, which is the JSON output, and from which the text and the Markdown are
// written. So the three cannot disagree.
//
//	[NewPlan]    plan.Plan    → [Plan]    → Text, Markdown, JSON    stdout
//	[NewReport]  apply.Report → [Report]  → Text, Markdown, JSON    stdout
//	[Events]     what happens meanwhile   → lines, live, JSON lines stderr
//	[Error]      errors and their hints                             stderr
//	[Redactor]   stands between all of these and the terminal
//
// Terraform's symbols carry the meaning, and colour only repeats it:
//
//   - is created           -/+  is deleted and created
//     ~    is changed           !    in the margin: somebody may do more than before
//   - is deleted
//
// Two rules hold for every text that comes from elsewhere. A terminal never sees a
// control character of it, and Markdown has it in code only. A secret value is a token:
// "(sensitive #1)" is numbered in the order of appearance, so that equal values are seen
// to be equal, and nothing of it is derived from the value.
package render
