# make measure              set up (once) and measure the shipped sample radiograph
# make measure IMAGE=file   measure another image: DICOM, PNG, JPEG, TIFF, NRRD, NIfTI, MHA
# make test                 set up (once) and run all tests

IMAGE    ?= Resources/SampleData/spine-ap-sample.png
PROTOCOL ?= spine-ap-cobb
OUTPUT   ?= results
OPTIONS  ?=

PYTHON := .venv/bin/python
STAMP  := .venv/.set-up

.PHONY: help measure test lint clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# Set-up runs again only when what it installs has changed.
$(STAMP): requirements-lock.txt pyproject.toml tools/setup.sh
	@tools/setup.sh
	@touch $@

measure: $(STAMP)
	@echo "Measuring $(IMAGE) by protocol $(PROTOCOL): about 10 s on two cores"
	@$(PYTHON) -m orthoangles measure "$(IMAGE)" --protocol "$(PROTOCOL)" --output "$(OUTPUT)" $(OPTIONS)
	@echo "Look at $(OUTPUT): *.overlay.png shows the lines, *.measurements.csv the values"

test: $(STAMP)
	@echo "Running ruff and all tests (unit, scene, gui, endtoend): about 9 minutes on two cores"
	@$(PYTHON) -m ruff check . ; style=$$?; $(PYTHON) -m pytest && exit $$style

lint: $(STAMP)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

clean:
	rm -rf .venv build results *.egg-info
