package main

import (
	"errors"
	"fmt"
	"strings"
)

// visit is what the doctor sends.
type visit struct {
	PatientName string `json:"patient_name"`
	DateOfVisit string `json:"date_of_visit"`
	Notes       string `json:"notes"`
}

// consultation is what comes back.
type consultation struct {
	Summary   string   `json:"summary"`
	NextSteps []string `json:"next_steps"`
	Letter    string   `json:"letter"`
	// WouldCall are the requests that a real deployment would make, and this one does not.
	WouldCall []string `json:"would_call"`
}

func (v visit) check() error {
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"patient_name", v.PatientName}, {"date_of_visit", v.DateOfVisit}, {"notes", v.Notes},
	} {
		if strings.TrimSpace(f.value) == "" {
			missing = append(missing, f.name)
		}
	}
	if len(missing) > 0 {
		return errors.New("missing: " + strings.Join(missing, ", "))
	}
	return nil
}

// advice is keyed by words that notes may hold, in the order in which it is given.
var advice = []struct{ word, step string }{
	{"cough", "Listen to the chest again in two weeks"},
	{"fever", "Measure the temperature twice a day"},
	{"pressure", "Keep a blood pressure diary for a week"},
	{"pain", "Return at once if the pain gets worse"},
	{"sleep", "Keep regular hours, and no screens before bed"},
}

// consult stands in for a language model: equal notes, equal answers.
func (v visit) consult() consultation {
	notes := strings.Join(strings.Fields(v.Notes), " ")
	first, _, _ := strings.Cut(notes, ". ")
	var steps []string
	for _, a := range advice {
		if strings.Contains(strings.ToLower(notes), a.word) {
			steps = append(steps, a.step)
		}
	}
	steps = append(steps, "Book a follow-up appointment")
	return consultation{
		Summary:   fmt.Sprintf("%s was seen on %s. %s.", v.PatientName, v.DateOfVisit, strings.TrimSuffix(first, ".")),
		NextSteps: steps,
		Letter: fmt.Sprintf("Dear %s,\n\nthank you for your visit on %s. What we agreed on:\n\n- %s\n\nWith kind regards,\nyour practice",
			v.PatientName, v.DateOfVisit, strings.Join(steps, "\n- ")),
		WouldCall: []string{
			"GET $CLERK_JWKS_URL, to verify who is asking",
			"POST https://api.openai.com/v1/chat/completions, to write the summary",
		},
	}
}
