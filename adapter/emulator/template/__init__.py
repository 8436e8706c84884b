"""SAM and CloudFormation templates: the settings of a function that ``adapter dev --template`` runs."""
